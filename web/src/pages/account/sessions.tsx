/** My sessions: where somebody is signed in to this account, and their end. */
import { Button, Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";

import { api } from "../../api/client";
import { ago, words } from "../../format";
import { Loaded } from "../../parts/page";
import { ProblemAlert } from "../../parts/problems";

export function Sessions() {
  const sessions = api.useQuery("get", "/v1/account/sessions", { params: { query: { limit: 100 } } });
  const end = api.useMutation("delete", "/v1/account/sessions/{session_id}");
  return (
    <Card>
      <CardTitle component="h2">My sessions</CardTitle>
      <CardBody>
        {end.error !== null && <ProblemAlert error={end.error} />}
        <Loaded of={sessions}>
          {({ items }) =>
            items.length === 0 ? (
              <span className="rf-subtle">None: nobody is signed in to this account with a password.</span>
            ) : (
              <Table variant="compact" aria-label="My sessions">
                <Thead>
                  <Tr>
                    <Th>From</Th>
                    <Th>With</Th>
                    <Th>By</Th>
                    <Th>Began</Th>
                    <Th>Last used</Th>
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((one) => (
                    <Tr key={one.id}>
                      <Td dataLabel="From">{one.source}</Td>
                      <Td dataLabel="With" modifier="truncate">
                        {one.client}
                      </Td>
                      <Td dataLabel="By">{words(one.means)}</Td>
                      <Td dataLabel="Began">{ago(one.created_at)}</Td>
                      <Td dataLabel="Last used">{ago(one.used_at)}</Td>
                      <Td isActionCell>
                        {one.current ? (
                          <Label isCompact color="blue">
                            This one
                          </Label>
                        ) : (
                          <Button
                            variant="secondary"
                            size="sm"
                            aria-label={`End the session from ${one.source} that began ${ago(one.created_at)}`}
                            onClick={() => end.mutate({ params: { path: { session_id: one.id } } })}
                          >
                            End
                          </Button>
                        )}
                      </Td>
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
