/** Networks: islands on which policies let VMs talk. */
import { NetworkIcon } from "@patternfly/react-icons/dist/esm/icons/network-icon";
import { useState } from "react";

import { api, ifMatch, type Network } from "../api/client";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { ChoiceField, isName, NameField, TextField } from "../parts/fields";
import { useFollow } from "../parts/follow";
import { NounPage } from "../parts/noun";

const CIDR = /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/;

export function NetworksPage() {
  const may = useMay();
  const networks = api.useQuery("get", "/v1/networks", { params: { query: { limit: 1000 } } });
  const follow = useFollow();
  const remove = api.useMutation("delete", "/v1/networks/{ref}", { onSuccess: (done) => follow(done.operation) });
  return (
    <NounPage<Network>
      title="Networks"
      one="network"
      about="A network is an island with one IPv4 range. VMs on it reach nobody until a policy lets them."
      icon={NetworkIcon}
      create="Create network"
      mayCreate={may.somewhere("network:manage")}
      mayChange={(network) => may.within(network.project_id, "network:manage")}
      empty="A VM that is to talk to another needs a network with it, and a policy."
      of={networks}
      columns={[
        { title: "Name", cell: (network) => network.name },
        { title: "Range", cell: (network) => <span className="rf-mono">{network.cidr}</span> },
        { title: "For", cell: (network) => network.project ?? "Every project" },
        { title: "MTU", cell: (network) => network.mtu },
      ]}
      form={(network, close) => <NetworkDialog network={network} onClose={close} />}
      removal={{
        busy: remove.isPending,
        error: remove.error,
        reset: remove.reset,
        warning: "Only a network that no VM is on can be deleted.",
        onConfirm: (network, done) =>
          remove.mutate({ params: { path: { ref: network.id }, header: ifMatch(network) } }, { onSuccess: done }),
      }}
    />
  );
}

function NetworkDialog({ network, onClose }: { network: Network | undefined; onClose: () => void }) {
  const [name, setName] = useState(network?.name ?? "");
  const [cidr, setCidr] = useState(network?.cidr ?? "");
  const [project, setProject] = useState("");
  const [mtu, setMtu] = useState(String(network?.mtu ?? 1442));
  const follow = useFollow();
  const may = useMay();
  const projects = api.useQuery("get", "/v1/projects", { params: { query: { limit: 1000 } } });
  const own = (projects.data?.items ?? []).filter((one) => may.within(one.id, "network:manage"));
  const shared = may.cloud("network:manage");
  const onSuccess = (done: Network) => {
    follow(done.operation);
    onClose();
  };
  const create = api.useMutation("post", "/v1/networks", { onSuccess });
  const change = api.useMutation("patch", "/v1/networks/{ref}", { onSuccess });
  return (
    <FormDialog
      title={network ? `Change network ${network.name}` : "Create a network"}
      submit={network ? "Save" : "Create"}
      ready={isName(name) && CIDR.test(cidr) && (network !== undefined || shared || project !== "")}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() =>
        network
          ? change.mutate({ params: { path: { ref: network.id }, header: ifMatch(network) }, body: { name, mtu: Number(mtu) } })
          : create.mutate({ body: { name, cidr, project: project || null, mtu: Number(mtu) } })
      }
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      {!network && (
        <>
          <TextField
            label="Range"
            value={cidr}
            onChange={setCidr}
            required
            help="IPv4, as 10.1.0.0/24. Its first address is the DHCP server's. It cannot be changed."
            wrong={cidr !== "" && !CIDR.test(cidr) && "An address and a length: 10.1.0.0/24."}
          />
          <ChoiceField
            label="For"
            value={project}
            onChange={setProject}
            none={shared ? "Every project" : "Choose a project"}
            required={!shared}
            choices={own.map((one) => ({ value: one.name, label: one.name }))}
          />
        </>
      )}
      <TextField label="MTU" type="number" value={mtu} onChange={setMtu} help="Guests learn a new one when they next renew their address." />
    </FormDialog>
  );
}
