/** Security zones, and which of them may share a host. */
import { Checkbox, FormGroup } from "@patternfly/react-core";
import { SecurityIcon } from "@patternfly/react-icons/dist/esm/icons/security-icon";
import { useState } from "react";
import { Link } from "react-router";

import { api, because, ifMatch, type Zone } from "../api/client";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { ChoiceField, isName, NameField, TextField } from "../parts/fields";
import { NounPage } from "../parts/noun";
import { useZones, ZoneName } from "../parts/zones";

const COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "black"];

export function ZonesPage() {
  const may = useMay();
  const remove = api.useMutation("delete", "/v1/zones/{ref}");
  return (
    <NounPage<Zone>
      title="Zones"
      one="zone"
      about="VMs of two zones never run on one host, unless both zones say that they mix."
      icon={SecurityIcon}
      create="Create zone"
      mayCreate={may.cloud("zone:manage")}
      mayChange={() => may.cloud("zone:manage")}
      empty="A zone is the unit of isolation: a name, a colour, and the zones it may share a host with. None, at first."
      of={useZones()}
      columns={[
        { title: "Name", cell: (zone) => <ZoneName name={zone.name} linked={false} /> },
        { title: "Classification", cell: (zone) => zone.classification || "–" },
        { title: "Mixes with", cell: (zone) => zone.mixes_with.join(", ") || "No other zone" },
        { title: "VMs", cell: (zone) => <Link to={`/vms?zone=${encodeURIComponent(zone.name)}`}>Show<span className="pf-v6-screen-reader"> the VMs of {zone.name}</span></Link> },
      ]}
      form={(zone, close) => <ZoneDialog zone={zone} onClose={close} />}
      removal={{
        busy: remove.isPending,
        error: remove.error,
        reset: remove.reset,
        warning: "Only a zone that has no VM and that no policy names can be deleted.",
        reasoned: true,
        onConfirm: (zone, done, reason) =>
          remove.mutate(
            { params: { path: { ref: zone.id }, header: ifMatch(zone) }, headers: because(reason) },
            { onSuccess: done },
          ),
      }}
    />
  );
}

function ZoneDialog({ zone, onClose }: { zone: Zone | undefined; onClose: () => void }) {
  const [name, setName] = useState(zone?.name ?? "");
  const [colour, setColour] = useState(zone?.colour ?? "");
  const [classification, setClassification] = useState(zone?.classification ?? "");
  const [mixes, setMixes] = useState<readonly string[]>(zone?.mixes_with ?? []);
  const others = (useZones().data?.items ?? []).filter((other) => other.id !== zone?.id);
  const create = api.useMutation("post", "/v1/zones", { onSuccess: onClose });
  const change = api.useMutation("patch", "/v1/zones/{ref}", { onSuccess: onClose });
  const body = { name, colour, classification, mixes_with: [...mixes] };
  return (
    <FormDialog
      title={zone ? `Change zone ${zone.name}` : "Create a zone"}
      submit={zone ? "Save" : "Create"}
      ready={isName(name)}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() =>
        zone
          ? change.mutate({ params: { path: { ref: zone.id }, header: ifMatch(zone) }, body })
          : create.mutate({ body })
      }
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      <ChoiceField
        label="Colour"
        value={colour}
        onChange={setColour}
        none="None"
        choices={[...(colour && !COLOURS.includes(colour) ? [colour] : []), ...COLOURS].map((one) => ({ value: one, label: one }))}
      />
      <TextField label="Classification" value={classification} onChange={setClassification} help="Your own word: public, internal, secret …" />
      {others.length > 0 && (
        <FormGroup role="group" label="May share a host with" fieldId="mixes">
          {others.map((other) => (
            <Checkbox
              key={other.id}
              id={`mix-${other.id}`}
              label={<ZoneName name={other.name} linked={false} />}
              isChecked={mixes.includes(other.name)}
              onChange={(_, on) => setMixes(on ? [...mixes, other.name] : mixes.filter((one) => one !== other.name))}
            />
          ))}
        </FormGroup>
      )}
    </FormDialog>
  );
}
