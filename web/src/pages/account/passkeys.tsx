/** My passkeys: with one, the password alone opens the account no more. */
import { Button, Card, CardBody, CardHeader, CardTitle, Content } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas } from "../../api/client";
import { ago } from "../../format";
import { ConfirmByName, FormDialog } from "../../parts/dialogs";
import { TextField } from "../../parts/fields";
import { Loaded } from "../../parts/page";
import { addPasskey, hasPasskeys } from "../../passkeys";
import { useSession } from "../../session";

type Passkey = Schemas["PasskeyTold"];

export function PasskeysCard() {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Passkey | null>(null);
  const named = api.useQuery("get", "/v1/about").data?.passkeys === true;
  const bySession = useSession() === "session";
  const passkeys = api.useQuery("get", "/v1/account/passkeys");
  const mayAdd = named && bySession && hasPasskeys();
  const add = (
    <Button variant="link" isInline onClick={() => setAdding(true)}>
      Add a passkey
    </Button>
  );
  return (
    <Card>
      <CardHeader actions={mayAdd ? { hasNoOffset: true, actions: add } : undefined}>
        <CardTitle component="h2">My passkeys</CardTitle>
      </CardHeader>
      <CardBody>
        <Loaded of={passkeys}>
          {({ items }) =>
            items.length === 0 ? (
              <span className="rf-subtle">{whyNone(named, bySession)}</span>
            ) : (
              <Table variant="compact" aria-label="My passkeys">
                <Thead>
                  <Tr>
                    <Th>Name</Th>
                    <Th>Added</Th>
                    <Th>Last used</Th>
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((passkey) => (
                    <Tr key={passkey.id}>
                      <Td dataLabel="Name">{passkey.name}</Td>
                      <Td dataLabel="Added">{ago(passkey.created_at)}</Td>
                      <Td dataLabel="Last used">{passkey.last_used_at === null ? "Never" : ago(passkey.last_used_at)}</Td>
                      <Td isActionCell>
                        {bySession && (
                          <Button variant="secondary" size="sm" aria-label={`Remove the passkey ${passkey.name}`} onClick={() => setRemoving(passkey)}>
                            Remove …
                          </Button>
                        )}
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )
          }
        </Loaded>
      </CardBody>
      {adding && <AddDialog onClose={() => setAdding(false)} />}
      {removing !== null && <RemoveDialog passkey={removing} onClose={() => setRemoving(null)} />}
    </Card>
  );
}

function whyNone(named: boolean, bySession: boolean): string {
  if (!named) return "None. Passkeys belong to a name, and this controller has none: start it with --public-url https://NAME.";
  if (!bySession) return "None. They are added by somebody who is signed in with a password, not with an API token.";
  if (!hasPasskeys()) return "None, and this browser has no way to make one.";
  return "None. With one you sign in by a finger, a face or a PIN, and a password that leaks opens nothing.";
}

function AddDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const add = useMutation({ mutationFn: addPasskey, onSuccess: onClose });
  return (
    <FormDialog
      title="Add a passkey"
      description="From then on the password alone opens the account no more: have a second one, so that losing one does not keep you out."
      submit="Add"
      ready={name.trim() !== ""}
      busy={add.isPending}
      error={add.error}
      onSubmit={() => add.mutate(name.trim())}
      onClose={onClose}
    >
      <TextField label="Name" value={name} onChange={setName} required autoFocus help="What you know it by: this laptop, the key on my ring." />
    </FormDialog>
  );
}

function RemoveDialog({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const remove = api.useMutation("delete", "/v1/account/passkeys/{passkey_id}", { onSuccess: onClose });
  return (
    <ConfirmByName
      title={`Remove the passkey ${passkey.name}?`}
      name={passkey.name}
      verb="Remove"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { passkey_id: passkey.id } } })}
      onClose={onClose}
    >
      <Content component="p">It opens this account no more. Without any passkey, the password alone does again.</Content>
    </ConfirmByName>
  );
}
