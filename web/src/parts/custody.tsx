/** A VM's custody, newest first: whose it was, where, beside whom, under which addresses, and who watched. */
import { Card, CardBody, CardTitle, Content } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { Link } from "react-router";

import { api, type Schemas } from "../api/client";
import { moment } from "../format";
import { Loaded } from "./page";
import { StateLabel } from "./states";

export function Custody({ vmId }: { vmId: string }) {
  const custody = api.useQuery("get", "/v1/vms/{vm_id}/custody", { params: { path: { vm_id: vmId } } });
  return (
    <Card>
      <CardTitle component="h2">Custody</CardTitle>
      <CardBody>
        <Content component="p">From the ledger: whose it was at each moment, where, and beside whom.</Content>
        <Loaded of={custody}>{({ periods }) => <Periods periods={[...periods].reverse()} />}</Loaded>
      </CardBody>
    </Card>
  );
}

function Periods({ periods }: { periods: readonly Schemas["PeriodTold"][] }) {
  const some = (names: readonly string[]) => (names.length === 0 ? "nobody" : [...new Set(names)].join(", "));
  return (
    <Table variant="compact" aria-label="Custody">
      <Thead>
        <Tr>
          <Th>Since</Th>
          <Th>Owner</Th>
          <Th>State</Th>
          <Th>Host</Th>
          <Th>Beside</Th>
          <Th>Addresses</Th>
          <Th>Console watched by</Th>
          <Th>Entry</Th>
        </Tr>
      </Thead>
      <Tbody>
        {periods.map((period) => (
          <Tr key={`${period.entry}-${period.since}`}>
            <Td dataLabel="Since" modifier="nowrap">
              {moment(period.since)}
            </Td>
            <Td dataLabel="Owner">{period.owner}</Td>
            <Td dataLabel="State">
              <StateLabel state={period.state} />
            </Td>
            <Td dataLabel="Host">{period.host ?? "–"}</Td>
            <Td dataLabel="Beside">{some(period.neighbours.map((one) => `${one.vm} (${one.zone})`))}</Td>
            <Td dataLabel="Addresses" className="rf-mono">
              {period.addresses.map((one) => one.address).join(", ") || "–"}
            </Td>
            <Td dataLabel="Console watched by">{some(period.viewers.map((one) => one.name))}</Td>
            <Td dataLabel="Entry">
              <Link to={`/ledger/${period.entry}`}>{period.entry}</Link>
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
