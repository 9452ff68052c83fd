/** Who is in a project, as what; whoever runs it takes people in and out. */
import { Button, Card, CardBody, CardHeader, CardTitle, Content } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";

import { api, type Project, type Schemas } from "../../api/client";
import { words } from "../../format";
import { useMay } from "../../may";
import { ConfirmByName, FormDialog } from "../../parts/dialogs";
import { ChoiceField, TextField } from "../../parts/fields";
import { Loaded } from "../../parts/page";
import { RowActions } from "../../parts/row-actions";

type Member = Schemas["MemberTold"];
type Open = { form: "add" } | { form: "change" | "remove"; member: Member } | null;

export function MembersCard({ project }: { project: Project }) {
  const [open, setOpen] = useState<Open>(null);
  const mayChange = useMay().within(project.id, "member:manage");
  const members = api.useQuery("get", "/v1/projects/{ref}/members", { params: { path: { ref: project.id } } });
  const close = () => setOpen(null);
  const add = (
    <Button variant="link" isInline onClick={() => setOpen({ form: "add" })}>
      Add a member
    </Button>
  );
  return (
    <Card isFullHeight>
      <CardHeader actions={mayChange ? { hasNoOffset: true, actions: add } : undefined}>
        <CardTitle component="h2">Members</CardTitle>
      </CardHeader>
      <CardBody>
        <Loaded of={members}>
          {({ items }) => (
            <Table variant="compact" aria-label="Members">
              <Thead>
                <Tr>
                  <Th>Account</Th>
                  <Th>Role</Th>
                  {mayChange && <Th screenReaderText="Actions" />}
                </Tr>
              </Thead>
              <Tbody>
                {items.map((member) => (
                  <Tr key={member.account_id}>
                    <Td dataLabel="Account">{member.account}</Td>
                    <Td dataLabel="Role">{words(member.role)}</Td>
                    {mayChange && (
                      <Td isActionCell>
                        <RowActions
                          name={member.account}
                          items={[
                            { title: "Change role …", onClick: () => setOpen({ form: "change", member }) },
                            { title: "Remove …", isDanger: true, onClick: () => setOpen({ form: "remove", member }) },
                          ]}
                        />
                      </Td>
                    )}
                  </Tr>
                ))}
              </Tbody>
            </Table>
          )}
        </Loaded>
      </CardBody>
      {open?.form === "add" && <MemberDialog project={project} member={undefined} onClose={close} />}
      {open?.form === "change" && <MemberDialog project={project} member={open.member} onClose={close} />}
      {open?.form === "remove" && <RemoveDialog project={project} member={open.member} onClose={close} />}
    </Card>
  );
}

/** Takes somebody in, or gives a member another role. */
function MemberDialog({ project, member, onClose }: { project: Project; member: Member | undefined; onClose: () => void }) {
  const [account, setAccount] = useState(member?.account ?? "");
  const [role, setRole] = useState<string>(member?.role ?? "project-member");
  const roles = (api.useQuery("get", "/v1/roles").data?.items ?? []).filter((one) => one.scope === "project");
  const put = api.useMutation("put", "/v1/projects/{ref}/members/{account}", { onSuccess: onClose });
  const chosen = roles.find((one) => one.name === role);
  return (
    <FormDialog
      title={member ? `Role of ${member.account}` : `Add a member to ${project.name}`}
      submit={member ? "Save" : "Add"}
      ready={account.trim() !== "" && chosen !== undefined}
      busy={put.isPending}
      error={put.error}
      onSubmit={() =>
        chosen && put.mutate({ params: { path: { ref: project.id, account: account.trim() } }, body: { role: chosen.name } })
      }
      onClose={onClose}
    >
      {!member && (
        <TextField label="Account" value={account} onChange={setAccount} required autoFocus help="The name of an account that there is." />
      )}
      <ChoiceField
        label="Role"
        value={role}
        onChange={setRole}
        choices={roles.map((one) => ({ value: one.name, label: words(one.name) }))}
        help={chosen?.about}
      />
    </FormDialog>
  );
}

function RemoveDialog({ project, member, onClose }: { project: Project; member: Member; onClose: () => void }) {
  const remove = api.useMutation("delete", "/v1/projects/{ref}/members/{account}", { onSuccess: onClose });
  return (
    <ConfirmByName
      title={`Remove ${member.account} from ${project.name}?`}
      name={member.account}
      verb="Remove"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { ref: project.id, account: member.account } } })}
      onClose={onClose}
    >
      <Content component="p">
        They see nothing of the project any more. One that owns it, or a VM in it, hands that over first.
      </Content>
    </ConfirmByName>
  );
}
