/** Makes an API token, one's own or a service's. Its secret comes sealed to a key of this page, and is shown once. */
import { Checkbox, FormGroup, Radio } from "@patternfly/react-core";
import { useState } from "react";

import { api } from "../api/client";
import { moment } from "../format";
import type { Permission } from "../may";
import { Recipient } from "../sealing";
import { FormDialog } from "./dialogs";
import { ChoiceField, isName, NameField } from "./fields";
import { ShownOnce } from "./shown-once";

const DAY_MS = 86_400_000;
const ENDS = [
  { value: "1", label: "Tomorrow" },
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
];

/** `service`: whose it is to be, if it is not one's own. */
export function TokenDialog({ service, onClose }: { service?: string; onClose: () => void }) {
  const [recipient] = useState(() => new Recipient());
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [narrowed, setNarrowed] = useState(false);
  const [scope, setScope] = useState<readonly Permission[]>([]);
  const make = api.useMutation("post", "/v1/tokens");
  const made = make.data;
  if (made?.sealed_secret != null) {
    return (
      <ShownOnce title={`Token ${made.name}`} label="The token's secret" secret={recipient.open(made.sealed_secret)} onClose={onClose}>
        Give this to the program that is to use it
        {made.expires_at == null ? "." : `; it ends at ${moment(made.expires_at)}.`}
      </ShownOnce>
    );
  }
  return (
    <FormDialog
      title={service === undefined ? "Make a token" : `Make a token for ${service}`}
      description="Whoever has its secret acts as its account."
      submit="Make"
      ready={isName(name) && (!narrowed || scope.length > 0)}
      busy={make.isPending}
      error={make.error}
      onSubmit={() =>
        make.mutate({
          body: {
            name,
            account: service ?? null,
            scope: narrowed ? [...scope] : [],
            expires_at: days === "" ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString(),
            recipient: recipient.publicKey,
          },
        })
      }
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} help="What it is for: nightly-backup, my-laptop." />
      <ChoiceField label="Ends" value={days} onChange={setDays} choices={ENDS} none="Never" />
      <FormGroup role="radiogroup" label="It may" fieldId="whole">
        <Radio id="whole" name="scope" label="All that its account may" isChecked={!narrowed} onChange={() => setNarrowed(false)} />
        <Radio id="narrowed" name="scope" label="Only what is chosen here" isChecked={narrowed} onChange={() => setNarrowed(true)} />
      </FormGroup>
      {narrowed && <Scope chosen={scope} onChange={setScope} />}
    </FormDialog>
  );
}

function Scope({ chosen, onChange }: { chosen: readonly Permission[]; onChange: (scope: readonly Permission[]) => void }) {
  const roles = api.useQuery("get", "/v1/roles").data?.items ?? [];
  const all = [...new Set(roles.flatMap((role) => role.permissions))].sort();
  return (
    <FormGroup role="group" label="Chosen" fieldId="chosen">
      <div className="rf-choices">
        {all.map((permission) => (
          <Checkbox
            key={permission}
            id={`may-${permission}`}
            label={permission}
            isChecked={chosen.includes(permission)}
            onChange={(_, on) => onChange(on ? [...chosen, permission] : chosen.filter((one) => one !== permission))}
          />
        ))}
      </div>
    </FormGroup>
  );
}
