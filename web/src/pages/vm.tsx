/** One VM: where it is and why, who may reach it, what was done to it. */
import {
  Button,
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Content,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Flex,
  Grid,
  GridItem,
  Label,
  PageSection,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { type ReactNode, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";

import { api, ifMatch, type Vm } from "../api/client";
import { ago, lasting, parseLabels, showLabels, words } from "../format";
import { useMay } from "../may";
import { Custody } from "../parts/custody";
import { FormDialog } from "../parts/dialogs";
import { LinesField } from "../parts/fields";
import { useFollow } from "../parts/follow";
import { Heading, Loaded } from "../parts/page";
import { OperationState, StateLabel } from "../parts/states";
import { VmActions } from "../parts/vm-actions";
import { ZoneName } from "../parts/zones";

export function VmPage() {
  const { id = "" } = useParams();
  const vm = api.useQuery("get", "/v1/vms/{vm_id}", { params: { path: { vm_id: id } } });
  if (vm.data === undefined) {
    return (
      <>
        <Heading title="VM" under={{ to: "/vms", name: "VMs" }} />
        <PageSection hasBodyWrapper={false}>
          <Loaded of={vm}>{() => null}</Loaded>
        </PageSection>
      </>
    );
  }
  return <Known vm={vm.data} />;
}

function Known({ vm }: { vm: Vm }) {
  const go = useNavigate();
  const may = useMay();
  return (
    <>
      <Heading
        title={vm.name}
        under={{ to: "/vms", name: "VMs" }}
        beside={<StateLabel state={vm.state} compact={false} />}
        actions={
          <Flex columnGap={{ default: "columnGapSm" }}>
            {may.within(vm.project_id, "vm:console") && (
              <>
                <Button isDisabled={vm.state !== "running"} onClick={() => void go(`/vms/${vm.id}/console`)}>
                  Open console
                </Button>
                <Button
                  variant="secondary"
                  isDisabled={vm.state !== "running"}
                  onClick={() => void go(`/vms/${vm.id}/screen`)}
                >
                  Open screen
                </Button>
              </>
            )}
            <VmActions vm={vm} label />
          </Flex>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Grid hasGutter>
          <GridItem lg={6}>
            <Facts vm={vm} />
          </GridItem>
          <GridItem lg={6}>
            <Place vm={vm} />
          </GridItem>
          <GridItem>
            <Ports vm={vm} />
          </GridItem>
          <GridItem>
            <History vm={vm} />
          </GridItem>
          {may.cloud("ledger:read") && (
            <GridItem>
              <Custody vmId={vm.id} />
            </GridItem>
          )}
        </Grid>
      </PageSection>
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <DescriptionListGroup>
      <DescriptionListTerm>{name}</DescriptionListTerm>
      <DescriptionListDescription>{children}</DescriptionListDescription>
    </DescriptionListGroup>
  );
}

function Facts({ vm }: { vm: Vm }) {
  const [editing, setEditing] = useState(false);
  const mayChange = useMay().within(vm.project_id, "vm:change");
  const labels = Object.entries(vm.labels);
  return (
    <Card isFullHeight>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: mayChange && (
            <Button variant="link" isInline onClick={() => setEditing(true)}>
              Edit labels
            </Button>
          ),
        }}
      >
        <CardTitle component="h2">Identity</CardTitle>
      </CardHeader>
      <CardBody>
        <DescriptionList isHorizontal isCompact>
          <Fact name="Zone">
            <ZoneName name={vm.zone} />
          </Fact>
          <Fact name="Project">
            <Link to={`/projects/${vm.project_id}`}>{vm.project}</Link>
          </Fact>
          <Fact name="Owner">{vm.owner}</Fact>
          <Fact name="Labels">
            {labels.length === 0 ? (
              <span className="rf-subtle">None. Policies select by them.</span>
            ) : (
              <span className="rf-labels">
                {labels.map(([key, value]) => (
                  <Label key={key} isCompact>
                    {key}={value}
                  </Label>
                ))}
              </span>
            )}
          </Fact>
          <Fact name="Id">
            <span className="rf-mono">{vm.id}</span>
          </Fact>
        </DescriptionList>
      </CardBody>
      {editing && <EditDialog vm={vm} onClose={() => setEditing(false)} />}
    </Card>
  );
}

function Place({ vm }: { vm: Vm }) {
  const may = useMay();
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Place</CardTitle>
      <CardBody>
        <DescriptionList isHorizontal isCompact>
          {may.cloud("host:read") && (
            <>
              <Fact name="Host">{vm.host === null ? "None" : <Link to={`/hosts/${vm.host_id}`}>{vm.host}</Link>}</Fact>
              <Fact name="Why there">{vm.placement || "–"}</Fact>
            </>
          )}
          <Fact name="Flavor">{vm.flavor}</Fact>
          <Fact name="Image">{vm.image}</Fact>
          <Fact name="Who may reach it">
            <Link to="/fence">See the fence</Link>
          </Fact>
        </DescriptionList>
      </CardBody>
    </Card>
  );
}

function Ports({ vm }: { vm: Vm }) {
  return (
    <Card>
      <CardTitle component="h2">Ports</CardTitle>
      <CardBody>
        {vm.ports.length === 0 ? (
          <Content component="p">It is on no network, and reaches nobody.</Content>
        ) : (
          <Table variant="compact" aria-label="Ports">
            <Thead>
              <Tr>
                <Th>Network</Th>
                <Th>Address</Th>
                <Th>MAC</Th>
                <Th>Port</Th>
              </Tr>
            </Thead>
            <Tbody>
              {vm.ports.map((port) => (
                <Tr key={port.id}>
                  <Td dataLabel="Network">{port.network}</Td>
                  <Td dataLabel="Address" className="rf-mono">
                    {port.address}
                  </Td>
                  <Td dataLabel="MAC" className="rf-mono">
                    {port.mac}
                  </Td>
                  <Td dataLabel="Port" className="rf-mono">
                    {port.id}
                  </Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        )}
      </CardBody>
    </Card>
  );
}

function History({ vm }: { vm: Vm }) {
  const operations = api.useQuery("get", "/v1/operations", { params: { query: { subject: vm.id, limit: 50 } } });
  return (
    <Card>
      <CardTitle component="h2">History</CardTitle>
      <CardBody>
        <Loaded of={operations}>
          {({ items }) => (
            <Table variant="compact" aria-label="History">
              <Thead>
                <Tr>
                  <Th>Operation</Th>
                  <Th>State</Th>
                  <Th>Began</Th>
                  <Th>Took</Th>
                </Tr>
              </Thead>
              <Tbody>
                {items.map((operation) => (
                  <Tr key={operation.id}>
                    <Td dataLabel="Operation">
                      <Link to={`/operations/${operation.id}`}>{words(operation.kind)}</Link>
                    </Td>
                    <Td dataLabel="State">
                      <OperationState state={operation.state} />
                    </Td>
                    <Td dataLabel="Began">{ago(operation.created_at)}</Td>
                    <Td dataLabel="Took">{lasting(operation.created_at, operation.ended_at)}</Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          )}
        </Loaded>
      </CardBody>
    </Card>
  );
}

function EditDialog({ vm, onClose }: { vm: Vm; onClose: () => void }) {
  const [text, setText] = useState(showLabels(vm.labels).replaceAll(", ", "\n"));
  const follow = useFollow();
  const labels = parseLabels(text);
  const change = api.useMutation("patch", "/v1/vms/{vm_id}", {
    onSuccess: (changed) => {
      follow(changed.operation);
      onClose();
    },
  });
  return (
    <FormDialog
      title={`Labels of ${vm.name}`}
      submit="Save"
      ready={labels !== null}
      busy={change.isPending}
      error={change.error}
      onSubmit={() => change.mutate({ params: { path: { vm_id: vm.id }, header: ifMatch(vm) }, body: { labels } })}
      onClose={onClose}
    >
      <LinesField
        label="Labels"
        value={text}
        onChange={setText}
        help="One key=value a line. Policies follow them as soon as the switches do."
        wrong={labels === null && "Each line is key=value."}
      />
    </FormDialog>
  );
}
