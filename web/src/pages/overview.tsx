/** The cloud at a glance: are the promises kept, what needs somebody, how much room is left, what was done lately. */
import {
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Content,
  Grid,
  GridItem,
  PageSection,
  Progress,
  ProgressSize,
} from "@patternfly/react-core";
import { CheckCircleIcon } from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { Link } from "react-router";

import { api, type Schemas } from "../api/client";
import { type Attention, needsAttention } from "../attention";
import { ago, count, mib, percent } from "../format";
import { mayOf } from "../may";
import { Heading, Loaded, Nothing } from "../parts/page";
import { Recent } from "../parts/recent";
import { StateLabel } from "../parts/states";
import { VerifyButton } from "../parts/verify";
import { ZoneName } from "../parts/zones";
import { findingsOf, PROMISES, useVerifications, verdictOf } from "../promises";
import { OfMyProjects } from "./overview/my-projects";

export function OverviewPage() {
  const session = api.useQuery("get", "/v1/session");
  if (session.data === undefined) {
    return (
      <>
        <Heading title="Overview" />
        <PageSection hasBodyWrapper={false}>
          <Loaded of={session}>{() => null}</Loaded>
        </PageSection>
      </>
    );
  }
  return mayOf(session.data).cloud("cloud:read") ? <OfTheCloud /> : <OfMyProjects projects={session.data.projects} />;
}

function OfTheCloud() {
  const overview = api.useQuery("get", "/v1/overview");
  return (
    <>
      <Heading title="Overview" actions={<VerifyButton />} />
      <PageSection hasBodyWrapper={false}>
        <Grid hasGutter>
          <GridItem>
            <Promises />
          </GridItem>
          <GridItem xl={8}>
            <Card isFullHeight>
              <CardTitle component="h2">Capacity by zone</CardTitle>
              <CardBody>
                <Loaded of={overview}>{(seen) => <Capacity seen={seen} />}</Loaded>
              </CardBody>
            </Card>
          </GridItem>
          <GridItem xl={4}>
            <NeedsAttention overview={overview.data} />
          </GridItem>
          <GridItem>
            <Recent />
          </GridItem>
        </Grid>
      </PageSection>
    </>
  );
}

function Promises() {
  const { evidence, loaded } = useVerifications();
  const findings = findingsOf(evidence);
  return (
    <Card>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: (
            <span className="rf-subtle">
              {evidence?.ended_at ? `Last verified ${ago(evidence.ended_at)}` : loaded ? "Never verified" : ""}
            </span>
          ),
        }}
      >
        <CardTitle component="h2">The seven promises</CardTitle>
      </CardHeader>
      <CardBody>
        <ul className="rf-promises">
          {PROMISES.map((promise) => {
            const of = findings.filter((finding) => finding.promise === promise.number);
            const kept = of.filter((finding) => finding.verdict === "kept").length;
            return (
              <li key={promise.number}>
                <Card isCompact isFullHeight isPlain={false} variant="secondary">
                  <CardTitle component="h3">
                    <Link to={`/promises#promise-${promise.number}`}>
                      {promise.number} {promise.name}
                    </Link>
                  </CardTitle>
                  <CardBody>
                    <StateLabel state={verdictOf(of)} text={of.length === 0 ? "Not verified" : undefined} />
                    <Content component="small" className="rf-about">
                      {of.length === 0 ? promise.says : `${kept} of ${count(of.length, "check")} kept`}
                    </Content>
                  </CardBody>
                </Card>
              </li>
            );
          })}
        </ul>
      </CardBody>
    </Card>
  );
}

function Capacity({ seen }: { seen: Schemas["OverviewTold"] }) {
  const { total, claimed } = seen;
  const vms = Object.values(seen.vms).reduce((sum, part) => sum + part, 0);
  const hosts = Object.values(seen.hosts).reduce((sum, part) => sum + part, 0);
  if (hosts === 0) {
    return (
      <Nothing icon={CheckCircleIcon} title="No host has joined yet" link={{ to: "/hosts", label: "Invite a host" }}>
        A cloud begins with its first hypervisor: invite one, and join it with the token that you are given.
      </Nothing>
    );
  }
  return (
    <>
      <div className="rf-numbers">
        <Figure name="VMs" value={vms} to="/vms" />
        <Figure name="Running" value={seen.vms["running"] ?? 0} to="/vms?state=running" />
        <Figure name="Hosts" value={hosts} to="/hosts" />
      </div>
      <Grid hasGutter className="rf-apart">
        <GridItem md={6}>
          <Progress
            title="vCPUs claimed"
            size={ProgressSize.sm}
            value={percent(claimed.vcpus, total.vcpus)}
            label={`${claimed.vcpus} of ${total.vcpus}`}
          />
        </GridItem>
        <GridItem md={6}>
          <Progress
            title="Memory claimed"
            size={ProgressSize.sm}
            value={percent(claimed.memory_mib, total.memory_mib)}
            label={`${mib(claimed.memory_mib)} of ${mib(total.memory_mib)}`}
          />
        </GridItem>
      </Grid>
      {seen.zones.length === 0 ? (
        <Nothing icon={CheckCircleIcon} title="No zone yet" link={{ to: "/zones", label: "To the zones" }}>
          Every VM is of exactly one zone. Make the first one.
        </Nothing>
      ) : (
        <Table variant="compact" aria-label="Capacity by zone">
          <Thead>
            <Tr>
              <Th>Zone</Th>
              <Th>VMs</Th>
              <Th>On hosts</Th>
              <Th>Memory</Th>
              <Th info={{ tooltip: "On hosts that run no zone apart from it. Zones compete for empty hosts." }}>
                Room left
              </Th>
            </Tr>
          </Thead>
          <Tbody>
            {seen.zones.map((zone) => (
              <Tr key={zone.id}>
                <Td dataLabel="Zone">
                  <ZoneName name={zone.name} />
                </Td>
                <Td dataLabel="VMs">{zone.vms}</Td>
                <Td dataLabel="On hosts">{zone.hosts}</Td>
                <Td dataLabel="Memory">{mib(zone.used.memory_mib)}</Td>
                <Td dataLabel="Room left">
                  {zone.open_hosts === 0 ? (
                    <StateLabel state="unknown" text="None" />
                  ) : (
                    `${mib(zone.free.memory_mib)}, ${count(zone.free.vcpus, "vCPU")} on ${count(zone.open_hosts, "host")}`
                  )}
                </Td>
              </Tr>
            ))}
          </Tbody>
        </Table>
      )}
    </>
  );
}

function Figure({ name, value, to }: { name: string; value: number; to: string }) {
  return (
    <div>
      <div className="rf-number">
        <Link to={to} aria-label={`${value} ${name}`}>
          {value.toLocaleString("en")}
        </Link>
      </div>
      <div className="rf-subtle">{name}</div>
    </div>
  );
}

function NeedsAttention({ overview }: { overview: Schemas["OverviewTold"] | undefined }) {
  const { evidence, last, loaded } = useVerifications();
  const failed = api.useQuery("get", "/v1/operations", { params: { query: { state: "failed", limit: 5 } } });
  const list =
    overview && loaded && failed.data
      ? needsAttention({ overview, verification: evidence, last, failed: failed.data.items, nowMs: Date.now() })
      : undefined;
  return (
    <Card isFullHeight>
      <CardTitle component="h2">Needs attention</CardTitle>
      <CardBody>
        <Loaded of={{ data: list, error: failed.error, isPending: failed.isPending || !failed.error }}>
          {(all) => (all.length === 0 ? <AllWell /> : <AttentionList all={all} />)}
        </Loaded>
      </CardBody>
    </Card>
  );
}

function AllWell() {
  return (
    <Content component="p">
      <StateLabel state="done" text="Nothing" /> Hosts answer, operations end well, promises are kept.
    </Content>
  );
}

function AttentionList({ all }: { all: readonly Attention[] }) {
  return (
    <ul className="rf-attention">
      {all.map((one) => (
        <li key={one.to + one.name}>
          <StateLabel state={one.state} text={one.what} /> <Link to={one.to}>{one.name}</Link>
          <Content component="small" className="rf-about">
            {one.todo}
          </Content>
        </li>
      ))}
    </ul>
  );
}
