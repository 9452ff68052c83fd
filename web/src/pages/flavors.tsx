/** Flavors: the sizes VMs come in. */
import { CubeIcon } from "@patternfly/react-icons/dist/esm/icons/cube-icon";
import { useState } from "react";

import { api, type Flavor, ifMatch, type Schemas } from "../api/client";
import { bytes, mib, words } from "../format";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { ChoiceField, isName, NameField, TextField } from "../parts/fields";
import { NounPage } from "../parts/noun";

const GIB = 1024 ** 3;
const PRIORITIES: readonly Schemas["PriorityClass"][] = ["low", "normal", "high"];

export function FlavorsPage() {
  const may = useMay();
  const flavors = api.useQuery("get", "/v1/flavors", { params: { query: { limit: 1000 } } });
  const remove = api.useMutation("delete", "/v1/flavors/{ref}");
  return (
    <NounPage<Flavor>
      title="Flavors"
      one="flavor"
      about="A flavor is a size: vCPUs, memory and disk. VMs keep the size they were born with."
      icon={CubeIcon}
      create="Create flavor"
      mayCreate={may.cloud("flavor:manage")}
      mayChange={() => may.cloud("flavor:manage")}
      empty="A VM needs a flavor. A small one, 1 vCPU with 1 GiB of memory and 10 GiB of disk, is a good first."
      of={flavors}
      columns={[
        { title: "Name", cell: (flavor) => flavor.name },
        { title: "vCPUs", cell: (flavor) => flavor.vcpus },
        { title: "Memory", cell: (flavor) => mib(flavor.memory_mib) },
        { title: "Disk", cell: (flavor) => bytes(flavor.disk_bytes) },
        { title: "Priority", cell: (flavor) => words(flavor.priority) },
      ]}
      form={(flavor, close) => <FlavorDialog flavor={flavor} onClose={close} />}
      removal={{
        busy: remove.isPending,
        error: remove.error,
        reset: remove.reset,
        warning: "Only a flavor that no VM has can be deleted.",
        onConfirm: (flavor, done) =>
          remove.mutate({ params: { path: { ref: flavor.id }, header: ifMatch(flavor) } }, { onSuccess: done }),
      }}
    />
  );
}

function FlavorDialog({ flavor, onClose }: { flavor: Flavor | undefined; onClose: () => void }) {
  const [name, setName] = useState(flavor?.name ?? "");
  const [vcpus, setVcpus] = useState(String(flavor?.vcpus ?? 1));
  const [memory, setMemory] = useState(String(flavor?.memory_mib ?? 1024));
  const [disk, setDisk] = useState(String(flavor ? flavor.disk_bytes / GIB : 10));
  const [priority, setPriority] = useState<string>(flavor?.priority ?? "normal");
  const create = api.useMutation("post", "/v1/flavors", { onSuccess: onClose });
  const change = api.useMutation("patch", "/v1/flavors/{ref}", { onSuccess: onClose });
  const body = {
    name,
    vcpus: Number(vcpus),
    memory_mib: Number(memory),
    disk_bytes: Math.round(Number(disk) * GIB),
    priority: PRIORITIES.find((one) => one === priority) ?? "normal",
  };
  const sized = body.vcpus > 0 && body.memory_mib > 0 && body.disk_bytes > 0;
  return (
    <FormDialog
      title={flavor ? `Change flavor ${flavor.name}` : "Create a flavor"}
      submit={flavor ? "Save" : "Create"}
      ready={isName(name) && sized}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() =>
        flavor
          ? change.mutate({ params: { path: { ref: flavor.id }, header: ifMatch(flavor) }, body })
          : create.mutate({ body })
      }
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      <TextField label="vCPUs" type="number" value={vcpus} onChange={setVcpus} required />
      <TextField label="Memory, in MiB" type="number" value={memory} onChange={setMemory} required />
      <TextField label="Disk, in GiB" type="number" value={disk} onChange={setDisk} required />
      <ChoiceField
        label="Priority"
        value={priority}
        onChange={setPriority}
        choices={PRIORITIES.map((one) => ({ value: one, label: words(one) }))}
      />
    </FormDialog>
  );
}
