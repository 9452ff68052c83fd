/** What can be done with a VM, in its list and on its page: what one may not is not there, what its state forbids is grey. */
import { Content, Dropdown, DropdownItem, DropdownList, MenuToggle } from "@patternfly/react-core";
import { EllipsisVIcon } from "@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon";
import { useState } from "react";
import { useNavigate } from "react-router";

import { api, ifMatch, type Vm } from "../api/client";
import { type Permission, useMay } from "../may";
import { ConfirmByName, FormDialog } from "./dialogs";
import { ChoiceField } from "./fields";
import { useFollow } from "./follow";
import { ProblemAlert } from "./problems";

const ACTING: readonly Permission[] = ["vm:operate", "vm:place", "vm:console", "vm:delete"];

type Open = "move" | "delete" | null;

export function VmActions({ vm, label = false }: { vm: Vm; label?: boolean }) {
  const [menu, setMenu] = useState(false);
  const [open, setOpen] = useState<Open>(null);
  const go = useNavigate();
  const follow = useFollow();
  const path = { params: { path: { vm_id: vm.id } } };
  const done = { onSuccess: (begun: { id: string }) => follow(begun.id) };
  const start = api.useMutation("post", "/v1/vms/{vm_id}/start", done);
  const stop = api.useMutation("post", "/v1/vms/{vm_id}/stop", done);
  const refused = start.error ?? stop.error;
  const all = useMay();
  const may = (permission: Permission) => all.within(vm.project_id, permission);
  if (!ACTING.some(may)) return null;
  return (
    <>
      <Dropdown
        isOpen={menu}
        onOpenChange={setMenu}
        onSelect={() => setMenu(false)}
        popperProps={{ position: "right" }}
        toggle={(toggle) => (
          <MenuToggle
            ref={toggle}
            variant={label ? "secondary" : "plain"}
            isExpanded={menu}
            onClick={() => setMenu(!menu)}
            aria-label={label ? undefined : `Actions of ${vm.name}`}
            icon={label ? undefined : <EllipsisVIcon />}
          >
            {label ? "Actions" : undefined}
          </MenuToggle>
        )}
      >
        <DropdownList>
          {may("vm:operate") && (
            <>
              <DropdownItem isDisabled={vm.state !== "stopped"} onClick={() => start.mutate(path)}>
                Start
              </DropdownItem>
              <DropdownItem isDisabled={vm.state !== "running"} onClick={() => stop.mutate(path)}>
                Stop
              </DropdownItem>
            </>
          )}
          {may("vm:place") && (
            <DropdownItem isDisabled={vm.state !== "running"} onClick={() => setOpen("move")}>
              Move …
            </DropdownItem>
          )}
          {may("vm:console") && (
            <>
              <DropdownItem isDisabled={vm.state !== "running"} onClick={() => void go(`/vms/${vm.id}/console`)}>
                Console
              </DropdownItem>
              <DropdownItem isDisabled={vm.state !== "running"} onClick={() => void go(`/vms/${vm.id}/screen`)}>
                Screen
              </DropdownItem>
            </>
          )}
          {may("vm:delete") && (
            <DropdownItem
              isDanger
              isDisabled={!["running", "stopped", "quarantined"].includes(vm.state)}
              onClick={() => setOpen("delete")}
            >
              Delete …
            </DropdownItem>
          )}
        </DropdownList>
      </Dropdown>
      {refused !== null && (
        <FormDialog
          title={`${vm.name} stays as it is`}
          submit="Close"
          busy={false}
          error={null}
          onSubmit={() => (start.reset(), stop.reset())}
          onClose={() => (start.reset(), stop.reset())}
        >
          <ProblemAlert error={refused} />
        </FormDialog>
      )}
      {open === "move" && <MoveDialog vm={vm} onClose={() => setOpen(null)} />}
      {open === "delete" && <DeleteDialog vm={vm} onClose={() => setOpen(null)} />}
    </>
  );
}

function MoveDialog({ vm, onClose }: { vm: Vm; onClose: () => void }) {
  const [host, setHost] = useState("");
  const follow = useFollow();
  const hosts = api.useQuery("get", "/v1/hosts", { params: { query: { limit: 1000 } } });
  const placement = api.useQuery("post", "/v1/placements", { body: { zone: vm.zone_id, flavor: vm.flavor_id } });
  const move = api.useMutation("post", "/v1/vms/{vm_id}/move", {
    onSuccess: (begun) => {
      follow(begun.id);
      onClose();
    },
  });
  const others = (hosts.data?.items ?? []).filter((one) => one.id !== vm.host_id);
  return (
    <FormDialog
      title={`Move ${vm.name}`}
      description={`It runs on ${vm.host ?? "no host"} and goes on running while it moves.`}
      submit="Move"
      busy={move.isPending}
      error={move.error}
      onSubmit={() => move.mutate({ params: { path: { vm_id: vm.id } }, body: { host: host || null } })}
      onClose={onClose}
    >
      <ChoiceField
        label="To"
        value={host}
        onChange={setHost}
        none="The best host there is"
        choices={others.map((one) => {
          const why = placement.data?.rejected[one.name];
          return { value: one.name, label: why ? `${one.name}: no, ${why}` : one.name };
        })}
      />
    </FormDialog>
  );
}

function DeleteDialog({ vm, onClose }: { vm: Vm; onClose: () => void }) {
  const follow = useFollow();
  const go = useNavigate();
  const remove = api.useMutation("delete", "/v1/vms/{vm_id}", {
    onSuccess: (begun) => {
      follow(begun.id);
      onClose();
      void go("/vms");
    },
  });
  return (
    <ConfirmByName
      title={`Delete ${vm.name}?`}
      name={vm.name}
      verb="Delete"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { vm_id: vm.id }, header: ifMatch(vm) } })}
      onClose={onClose}
    >
      <Content component="p">
        The VM of {vm.owner} in project {vm.project} is stopped, and its disk and addresses are given up. This cannot be
        undone.
      </Content>
    </ConfirmByName>
  );
}
