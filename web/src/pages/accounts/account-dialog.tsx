/** Makes an account, or changes one: its names and the roles it has in the cloud. */
import { Checkbox, FormGroup } from "@patternfly/react-core";
import { useState } from "react";

import { type Account, api, ifMatch, type Schemas } from "../../api/client";
import { words } from "../../format";
import { FormDialog } from "../../parts/dialogs";
import { ChoiceField, TextField } from "../../parts/fields";

interface AccountDialogProps {
  account: Account | undefined;
  onMade: (account: Account) => void;
  onClose: () => void;
}

const KINDS = [
  { value: "person", label: "A person, who signs in" },
  { value: "service", label: "A service, which has tokens" },
];

export function AccountDialog({ account, onMade, onClose }: AccountDialogProps) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState("person");
  const [displayName, setDisplayName] = useState(account?.display_name ?? "");
  const [email, setEmail] = useState(account?.email ?? "");
  const [roles, setRoles] = useState<readonly Schemas["Role"][]>(account?.roles ?? []);
  const create = api.useMutation("post", "/v1/accounts", { onSuccess: onMade });
  const change = api.useMutation("patch", "/v1/accounts/{ref}", { onSuccess: onClose });
  const both = { display_name: displayName.trim(), email: email.trim(), roles: [...roles] };
  return (
    <FormDialog
      title={account ? `Change account ${account.name}` : "Create an account"}
      submit={account ? "Save" : "Create"}
      ready={account !== undefined || name.trim() !== ""}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() =>
        account
          ? change.mutate({ params: { path: { ref: account.id }, header: ifMatch(account) }, body: both })
          : create.mutate({ body: { name: name.trim(), kind: kind === "service" ? "service" : "person", ...both } })
      }
      onClose={onClose}
    >
      {!account && (
        <>
          <TextField
            label="Account"
            value={name}
            onChange={setName}
            required
            autoFocus
            help="What they sign in with: a short name or a mail address. It never changes."
          />
          <ChoiceField label="For" value={kind} onChange={setKind} choices={KINDS} />
        </>
      )}
      <TextField label="Name" value={displayName} onChange={setDisplayName} help="How people call them." autoFocus={account !== undefined} />
      <TextField label="Mail address" value={email} onChange={setEmail} />
      <Roles chosen={roles} onChange={setRoles} />
    </FormDialog>
  );
}

function Roles({ chosen, onChange }: { chosen: readonly Schemas["Role"][]; onChange: (roles: readonly Schemas["Role"][]) => void }) {
  const roles = (api.useQuery("get", "/v1/roles").data?.items ?? []).filter((one) => one.scope === "cloud");
  return (
    <FormGroup role="group" label="Roles in the whole cloud" fieldId="roles">
      {roles.map(({ name, about }) => (
        <Checkbox
          key={name}
          id={`role-${name}`}
          label={words(name)}
          description={about}
          isChecked={chosen.includes(name)}
          onChange={(_, on) => onChange(on ? [...chosen, name] : chosen.filter((one) => one !== name))}
        />
      ))}
    </FormGroup>
  );
}
