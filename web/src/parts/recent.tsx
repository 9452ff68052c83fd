/** The operations begun last, of those one may see. */
import { Card, CardBody, CardHeader, CardTitle, Content } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { Link } from "react-router";

import { api } from "../api/client";
import { ago } from "../format";
import { titleOf } from "./follow";
import { Loaded } from "./page";
import { OperationState } from "./states";

export function Recent() {
  const operations = api.useQuery("get", "/v1/operations", { params: { query: { limit: 8 } } });
  return (
    <Card>
      <CardHeader actions={{ hasNoOffset: true, actions: <Link to="/operations">All operations</Link> }}>
        <CardTitle component="h2">Recent operations</CardTitle>
      </CardHeader>
      <CardBody>
        <Loaded of={operations}>
          {({ items }) =>
            items.length === 0 ? (
              <Content component="p">Nothing was asked of this cloud yet.</Content>
            ) : (
              <Table variant="compact" aria-label="Recent operations">
                <Thead>
                  <Tr>
                    <Th>Operation</Th>
                    <Th>State</Th>
                    <Th>Began</Th>
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((operation) => (
                    <Tr key={operation.id}>
                      <Td dataLabel="Operation">
                        <Link to={`/operations/${operation.id}`}>{titleOf(operation)}</Link>
                      </Td>
                      <Td dataLabel="State">
                        <OperationState state={operation.state} />
                      </Td>
                      <Td dataLabel="Began">{ago(operation.created_at)}</Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )
          }
        </Loaded>
      </CardBody>
    </Card>
  );
}
