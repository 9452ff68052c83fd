/** One host: its load, its facts, and who is on it. */
import {
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Flex,
  Grid,
  GridItem,
  PageSection,
  Progress,
  ProgressSize,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { type ReactNode, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";

import { api, because, type Host, ifMatch } from "../api/client";
import { ago, bytes, mib, moment, percent, words } from "../format";
import { useMay } from "../may";
import { ConfirmByName } from "../parts/dialogs";
import { CordonButton } from "../parts/host-actions";
import { Heading, Loaded } from "../parts/page";
import { StateLabel } from "../parts/states";
import { ZoneName } from "../parts/zones";
import { ZonesOn } from "./hosts";

export function HostPage() {
  const { id = "" } = useParams();
  const host = api.useQuery("get", "/v1/hosts/{ref}", { params: { path: { ref: id } } });
  if (host.data === undefined) {
    return (
      <>
        <Heading title="Host" under={{ to: "/hosts", name: "Hosts" }} />
        <PageSection hasBodyWrapper={false}>
          <Loaded of={host}>{() => null}</Loaded>
        </PageSection>
      </>
    );
  }
  return <Known host={host.data} />;
}

function Known({ host }: { host: Host }) {
  const [removing, setRemoving] = useState(false);
  const mayManage = useMay().cloud("host:manage");
  return (
    <>
      <Heading
        title={host.name}
        under={{ to: "/hosts", name: "Hosts" }}
        beside={
          <>
            <StateLabel state={host.state} compact={false} />
            {!host.reachable && <StateLabel state="silent" compact={false} />}
          </>
        }
        actions={
          <Flex columnGap={{ default: "columnGapSm" }}>
            <CordonButton host={host} />
            {mayManage && (
              <Button variant="danger" size="sm" onClick={() => setRemoving(true)}>
                Remove …
              </Button>
            )}
          </Flex>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Grid hasGutter>
          <GridItem lg={6}>
            <Load host={host} />
          </GridItem>
          <GridItem lg={6}>
            <Facts host={host} />
          </GridItem>
          <GridItem>
            <VmsOn host={host} />
          </GridItem>
        </Grid>
      </PageSection>
      {removing && <RemoveDialog host={host} onClose={() => setRemoving(false)} />}
    </>
  );
}

function Load({ host: { claimed, total } }: { host: Host }) {
  const bars = [
    { title: "vCPUs", part: claimed.vcpus, whole: total.vcpus, label: `${claimed.vcpus} of ${total.vcpus}` },
    { title: "Memory", part: claimed.memory_mib, whole: total.memory_mib, label: `${mib(claimed.memory_mib)} of ${mib(total.memory_mib)}` },
    { title: "Disk", part: claimed.disk_bytes, whole: total.disk_bytes, label: `${bytes(claimed.disk_bytes)} of ${bytes(total.disk_bytes)}` },
  ];
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Claimed by VMs</CardTitle>
      <CardBody>
        <Flex direction={{ default: "column" }} rowGap={{ default: "rowGapMd" }}>
          {bars.map((bar) => (
            <Progress key={bar.title} title={bar.title} size={ProgressSize.sm} value={percent(bar.part, bar.whole)} label={bar.label} />
          ))}
        </Flex>
      </CardBody>
    </Card>
  );
}

function Facts({ host }: { host: Host }) {
  const facts = Object.entries(host.facts);
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Facts</CardTitle>
      <CardBody>
        <DescriptionList isHorizontal isCompact>
          <Fact name="Zones on it">
            <ZonesOn host={host} />
          </Fact>
          <Fact name="Certificate until">{host.certificate_expires_at === null ? "Unknown" : moment(host.certificate_expires_at)}</Fact>
          <Fact name="Last heard of">{host.last_seen === null ? "Never" : ago(host.last_seen)}</Fact>
          <Fact name="Underlay address">
            <span className="rf-mono">{host.underlay_address}</span>
          </Fact>
          {facts.map(([name, value]) => (
            <Fact key={name} name={words(name)}>
              {value}
            </Fact>
          ))}
        </DescriptionList>
      </CardBody>
    </Card>
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

function VmsOn({ host }: { host: Host }) {
  const vms = api.useQuery("get", "/v1/vms", { params: { query: { host: host.id, limit: 50 } } });
  return (
    <Card>
      <CardTitle component="h2">VMs on it</CardTitle>
      <CardBody>
        <Loaded of={vms}>
          {({ items, next }) =>
            items.length === 0 ? (
              <Content component="p">None. A VM of any zone may come.</Content>
            ) : (
              <>
                <Table variant="compact" aria-label={`VMs on ${host.name}`}>
                  <Thead>
                    <Tr>
                      <Th>Name</Th>
                      <Th>State</Th>
                      <Th>Zone</Th>
                      <Th>Project</Th>
                      <Th>Flavor</Th>
                    </Tr>
                  </Thead>
                  <Tbody>
                    {items.map((vm) => (
                      <Tr key={vm.id}>
                        <Td dataLabel="Name">
                          <Link to={`/vms/${vm.id}`}>{vm.name}</Link>
                        </Td>
                        <Td dataLabel="State">
                          <StateLabel state={vm.state} />
                        </Td>
                        <Td dataLabel="Zone">
                          <ZoneName name={vm.zone} />
                        </Td>
                        <Td dataLabel="Project">{vm.project}</Td>
                        <Td dataLabel="Flavor">{vm.flavor}</Td>
                      </Tr>
                    ))}
                  </Tbody>
                </Table>
                {next !== null && <Link to={`/vms?host=${encodeURIComponent(host.name)}`}>All of them</Link>}
              </>
            )
          }
        </Loaded>
      </CardBody>
    </Card>
  );
}

function RemoveDialog({ host, onClose }: { host: Host; onClose: () => void }) {
  const go = useNavigate();
  const remove = api.useMutation("delete", "/v1/hosts/{ref}", { onSuccess: () => void go("/hosts") });
  return (
    <ConfirmByName
      title={`Remove ${host.name}?`}
      name={host.name}
      verb="Remove"
      reasoned
      busy={remove.isPending}
      error={remove.error}
      onConfirm={(reason) =>
        remove.mutate({ params: { path: { ref: host.id }, header: ifMatch(host) }, headers: because(reason) })
      }
      onClose={onClose}
    >
      <Content component="p">
        Its certificate is refused from then on. To come back it must be invited again. A host with VMs is not removed.
      </Content>
    </ConfirmByName>
  );
}
