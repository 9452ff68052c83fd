/** A VM's custody, newest first: whose it was, where, beside whom, under which addresses, and who watched. */
import { Button, Card, CardBody, CardTitle, Content, Flex, FormGroup, TextInput } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useId, useState } from "react";
import { Link } from "react-router";

import { api, type Schemas } from "../api/client";
import { instant, moment } from "../format";
import { useSettled } from "./later";
import { Loaded } from "./page";
import { StateLabel } from "./states";

export function Custody({ vmId }: { vmId: string }) {
  const [asked, setAsked] = useState("");
  const at = instant(useSettled(asked));
  const custody = api.useQuery("get", "/v1/vms/{vm_id}/custody", {
    params: { path: { vm_id: vmId }, query: at === null ? {} : { at } },
  });
  const id = useId();
  return (
    <Card>
      <CardTitle component="h2">Custody</CardTitle>
      <CardBody>
        <Flex alignItems={{ default: "alignItemsFlexEnd" }} gap={{ default: "gapMd" }}>
          <Content component="p">From the ledger: whose it was at each moment, where, and beside whom.</Content>
          <FormGroup label="At one instant" fieldId={id}>
            <TextInput id={id} type="datetime-local" step={1} value={asked} onChange={(_, value) => setAsked(value)} />
          </FormGroup>
          <Button variant="link" isDisabled={asked === ""} onClick={() => setAsked("")}>
            Show all of it
          </Button>
        </Flex>
        <Loaded of={custody}>
          {({ periods }) =>
            periods.length === 0 ? (
              <Content component="p">The ledger knows of no such VM at that instant: it was not made yet, or was gone.</Content>
            ) : (
              <Periods periods={[...periods].reverse()} />
            )
          }
        </Loaded>
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
