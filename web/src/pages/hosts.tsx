/** The hypervisors: what they run, how full they are, and whether they answer. */
import {
  Button,
  PageSection,
  Progress,
  ProgressMeasureLocation,
  ProgressSize,
} from "@patternfly/react-core";
import { ServerIcon } from "@patternfly/react-icons/dist/esm/icons/server-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";
import { Link } from "react-router";

import { api, type Host } from "../api/client";
import { ago, mib, moment, percent } from "../format";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { isName, NameField } from "../parts/fields";
import { CordonButton } from "../parts/host-actions";
import { Heading, Loaded, Nothing } from "../parts/page";
import { ShownOnce } from "../parts/shown-once";
import { StateLabel } from "../parts/states";
import { ZoneName } from "../parts/zones";

export function HostsPage() {
  const [inviting, setInviting] = useState(false);
  const mayInvite = useMay().cloud("host:manage");
  const hosts = api.useQuery("get", "/v1/hosts", { params: { query: { limit: 1000 } } });
  return (
    <>
      <Heading title="Hosts" actions={mayInvite && <Button onClick={() => setInviting(true)}>Invite a host</Button>} />
      <PageSection hasBodyWrapper={false}>
        <Loaded of={hosts}>
          {({ items }) =>
            items.length === 0 ? (
              <Nothing
                icon={ServerIcon}
                title="No host has joined yet"
                action={mayInvite ? { label: "Invite a host", onClick: () => setInviting(true) } : undefined}
              >
                You get a command to run on the hypervisor. It dials out to this controller; nothing need reach it.
              </Nothing>
            ) : (
              <HostTable items={items} />
            )
          }
        </Loaded>
      </PageSection>
      {inviting && <InviteDialog onClose={() => setInviting(false)} />}
    </>
  );
}

function HostTable({ items }: { items: readonly Host[] }) {
  return (
    <Table variant="compact" aria-label="Hosts">
      <Thead>
        <Tr>
          <Th>Name</Th>
          <Th>State</Th>
          <Th>Zones on it</Th>
          <Th>VMs</Th>
          <Th width={20}>Memory claimed</Th>
          <Th>vCPUs</Th>
          <Th>Agent</Th>
          <Th screenReaderText="Actions" />
        </Tr>
      </Thead>
      <Tbody>
        {items.map((host) => (
          <Tr key={host.id}>
            <Td dataLabel="Name">
              <Link to={`/hosts/${host.id}`}>{host.name}</Link>
            </Td>
            <Td dataLabel="State">
              <StateLabel state={host.state} />
            </Td>
            <Td dataLabel="Zones on it">
              <ZonesOn host={host} />
            </Td>
            <Td dataLabel="VMs">
              <Link to={`/vms?host=${encodeURIComponent(host.name)}`} aria-label={`${host.vms} VMs on ${host.name}`}>
                {host.vms}
              </Link>
            </Td>
            <Td dataLabel="Memory claimed">
              <Progress
                aria-label={`Memory claimed on ${host.name}`}
                size={ProgressSize.sm}
                measureLocation={ProgressMeasureLocation.top}
                value={percent(host.claimed.memory_mib, host.total.memory_mib)}
                label={`${mib(host.claimed.memory_mib)} of ${mib(host.total.memory_mib)}`}
              />
            </Td>
            <Td dataLabel="vCPUs">
              {host.claimed.vcpus} of {host.total.vcpus}
            </Td>
            <Td dataLabel="Agent">
              {host.reachable ? <StateLabel state="done" text="Answers" /> : <StateLabel state="silent" />}{" "}
              {!host.reachable && host.last_seen !== null && <span className="rf-subtle">{ago(host.last_seen)}</span>}
            </Td>
            <Td isActionCell>
              <CordonButton host={host} />
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

export function ZonesOn({ host }: { host: Host }) {
  if (host.zones.length === 0) return <span className="rf-subtle">None: any zone may come</span>;
  return (
    <span className="rf-labels">
      {host.zones.map((zone) => (
        <ZoneName key={zone} name={zone} />
      ))}
    </span>
  );
}

function InviteDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const invite = api.useMutation("post", "/v1/hosts/invitations");
  const invited = invite.data;
  if (invited !== undefined) {
    return (
      <ShownOnce title={`Invitation of ${invited.name}`} label="The join token" secret={invited.token} onClose={onClose}>
        Run <code>ringfence-agent join</code> on the host as root, and paste this token there. It serves once, until{" "}
        {moment(invited.expires_at)}.
      </ShownOnce>
    );
  }
  return (
    <FormDialog
      title="Invite a host"
      description="A hypervisor joins with a token that serves once."
      submit="Invite"
      ready={isName(name)}
      busy={invite.isPending}
      error={invite.error}
      onSubmit={() => invite.mutate({ body: { name } })}
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} help="What the host is to be called here." />
    </FormDialog>
  );
}
