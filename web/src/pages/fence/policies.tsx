/** The policies, and their changes: each is tried first, and what it opens and closes is shown before it is applied. */
import { Alert, Button, Content, Spinner, Split, SplitItem } from "@patternfly/react-core";
import { SecurityIcon } from "@patternfly/react-icons/dist/esm/icons/security-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";

import { api, ifMatch, type Policy, type Schemas } from "../../api/client";
import { showEffect, showOpenings, showParty, showSelector } from "../../fence";
import { opening } from "../../format";
import { useMay } from "../../may";
import { ConfirmByName } from "../../parts/dialogs";
import { useFollow } from "../../parts/follow";
import { useSettled } from "../../parts/later";
import { Loaded, Nothing } from "../../parts/page";
import { RowActions } from "../../parts/row-actions";
import { ProblemAlert } from "../../parts/problems";
import { StateLabel } from "../../parts/states";
import { PolicyDialog } from "./policy-dialog";

type Open = { form: "edit"; policy: Policy | undefined } | { form: "delete"; policy: Policy } | null;

export function PoliciesView() {
  const [open, setOpen] = useState<Open>(null);
  const policies = api.useQuery("get", "/v1/policies", { params: { query: { limit: 1000 } } });
  const may = useMay();
  const mayCreate = may.somewhere("policy:manage");
  const whole = may.cloud("policy:read");
  const close = () => setOpen(null);
  const create = () => setOpen({ form: "edit", policy: undefined });
  return (
    <>
      <Loaded of={policies}>
        {({ items }) =>
          items.length === 0 ? (
            <Nothing icon={SecurityIcon} title={whole ? "No policy: everything is denied" : "No policy of your projects"} action={mayCreate ? { label: "Create policy", onClick: create } : undefined}>
              A policy lets VMs that it selects call others that it selects.{" "}
              {whole ? "You see what it opens before it does." : "The cloud has policies besides, which whoever runs it sees."}
            </Nothing>
          ) : (
            <>
              <Split className="rf-apart">
                <SplitItem isFilled>
                  <Content component="p">Each policy allows; nothing denies but the absence of one.</Content>
                </SplitItem>
                {mayCreate && (
                  <SplitItem>
                    <Button onClick={create}>Create policy</Button>
                  </SplitItem>
                )}
              </Split>
              <PolicyTable items={items} onOpen={setOpen} />
            </>
          )
        }
      </Loaded>
      {open?.form === "edit" && <PolicyDialog policy={open.policy} onClose={close} />}
      {open?.form === "delete" && <DeleteDialog policy={open.policy} onClose={close} />}
    </>
  );
}

function PolicyTable({ items, onOpen }: { items: readonly Policy[]; onOpen: (open: Open) => void }) {
  const may = useMay();
  return (
    <Table variant="compact" aria-label="Policies">
      <Thead>
        <Tr>
          <Th>Name</Th>
          <Th>Who calls</Th>
          <Th>Who is called</Th>
          <Th>What passes</Th>
          <Th screenReaderText="Actions" />
        </Tr>
      </Thead>
      <Tbody>
        {items.map((policy) => (
          <Tr key={policy.id}>
            <Td dataLabel="Name">{policy.name}</Td>
            <Td dataLabel="Who calls">{showSelector(policy.source)}</Td>
            <Td dataLabel="Who is called">{showSelector(policy.target)}</Td>
            <Td dataLabel="What passes">{opening(policy.protocol, policy.ports)}</Td>
            <Td isActionCell>
              {may.within(policy.project_id, "policy:manage") && (
                <RowActions
                  name={policy.name}
                  items={[
                    { title: "Change …", onClick: () => onOpen({ form: "edit", policy }) },
                    { title: "Delete …", isDanger: true, onClick: () => onOpen({ form: "delete", policy }) },
                  ]}
                />
              )}
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

function DeleteDialog({ policy, onClose }: { policy: Policy; onClose: () => void }) {
  const follow = useFollow();
  const remove = api.useMutation("delete", "/v1/policies/{ref}", {
    onSuccess: (done) => {
      follow(done.operation);
      onClose();
    },
  });
  return (
    <ConfirmByName
      title={`Delete policy ${policy.name}?`}
      name={policy.name}
      verb="Delete"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { ref: policy.id }, header: ifMatch(policy) } })}
      onClose={onClose}
    >
      <Content component="p">What only it allows is denied, and open connections of it are cut.</Content>
      <DryRun change={{ policy: policy.id, becomes: null }} applying={remove.isPending} />
    </ConfirmByName>
  );
}

const MOST_SHOWN = 12;

/**
 * Tries the change as it stands, a moment after it was last touched, and shows which pairs it opens and closes. Not
 * while it is being applied: it would then be tried on a fence that has it already. For those who see all of the fence.
 */
export function DryRun({ change, applying }: { change: Schemas["FenceChangeAsked"]; applying: boolean }) {
  const whole = useMay().cloud("policy:read");
  const settled = useSettled(JSON.stringify(change), 300);
  const tried = api.useQuery(
    "post",
    "/v1/fence/dry-run",
    { body: JSON.parse(settled) as Schemas["FenceChangeAsked"] },
    { retry: false, enabled: whole && !applying },
  );
  if (!whole) return null;
  if (tried.isPending) return <Spinner size="md" aria-label="Trying the change" />;
  if (tried.error !== null) return <ProblemAlert error={tried.error} />;
  const told = tried.data;
  const variant = told.opens > 0 ? "warning" : "info";
  return (
    <Alert isInline variant={variant} title={showEffect(told)} data-testid="effect" role="status">
      {told.pairs.length > 0 && (
        <Table variant="compact" aria-label="What would change" borders={false}>
          <Thead>
            <Tr>
              <Th>Who calls</Th>
              <Th>Who is called</Th>
              <Th>Now</Th>
              <Th>Then</Th>
            </Tr>
          </Thead>
          <Tbody>
            {told.pairs.slice(0, MOST_SHOWN).map((pair) => (
              <Tr key={`${pair.source}-${pair.target}`}>
                <Td dataLabel="Who calls">{named(told.parties[pair.source])}</Td>
                <Td dataLabel="Who is called">{named(told.parties[pair.target])}</Td>
                <Td dataLabel="Now">{showOpenings(pair.before)}</Td>
                <Td dataLabel="Then">
                  {showOpenings(pair.after)} <Turn turn={pair.turn} />
                </Td>
              </Tr>
            ))}
          </Tbody>
        </Table>
      )}
      {told.pairs.length > MOST_SHOWN && <Content component="small">And {told.pairs.length - MOST_SHOWN} more.</Content>}
    </Alert>
  );
}

function named(party: Schemas["PartyTold"] | undefined): string {
  return party === undefined ? "?" : showParty(party);
}

function Turn({ turn }: { turn: Schemas["Turn"] }) {
  const looks = { opens: "unknown", closes: "stopped", alters: "unknown" };
  return <StateLabel state={looks[turn]} text={turn} />;
}
