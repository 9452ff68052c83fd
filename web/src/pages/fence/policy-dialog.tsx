/** A policy to be made or changed, with what it would open and close beneath. */
import { Content, FormFieldGroup, FormFieldGroupHeader, Grid, GridItem } from "@patternfly/react-core";
import { useState } from "react";

import { api, ifMatch, type Policy, type Schemas } from "../../api/client";
import { parseLabels, parsePorts, showLabels } from "../../format";
import { useMay } from "../../may";
import { FormDialog } from "../../parts/dialogs";
import { ChoiceField, isName, NameField, TextField } from "../../parts/fields";
import { useFollow } from "../../parts/follow";
import { DryRun } from "./policies";

const ALL = { params: { query: { limit: 1000 } } };

interface SelectorDraft {
  zone: string;
  project: string;
  labels: string;
}

const PROTOCOLS: readonly { value: Schemas["Protocol"]; label: string }[] = [
  { value: "tcp", label: "TCP" },
  { value: "udp", label: "UDP" },
  { value: "icmp", label: "ICMP (ping)" },
  { value: "any", label: "Anything" },
];

function draftOf(selector: Schemas["SelectorTold"] | undefined): SelectorDraft {
  return {
    zone: selector?.zone ?? "",
    project: selector?.project ?? "",
    labels: selector ? showLabels(selector.labels) : "",
  };
}

/** The selector as it is asked for; null if it selects nothing yet, or its labels are none. */
function askedOf(draft: SelectorDraft): Schemas["SelectorAsked"] | null {
  const labels = parseLabels(draft.labels);
  if (labels === null || (draft.zone === "" && draft.project === "" && Object.keys(labels).length === 0)) return null;
  return { zone: draft.zone || null, project: draft.project || null, labels };
}

export function PolicyDialog({ policy, onClose }: { policy: Policy | undefined; onClose: () => void }) {
  const [name, setName] = useState(policy?.name ?? "");
  const may = useMay();
  const mine = (api.useQuery("get", "/v1/projects", ALL).data?.items ?? []).filter((one) => may.within(one.id, "policy:manage"));
  const ofCloud = may.cloud("policy:manage");
  const [project, setProject] = useState("");
  const [source, setSource] = useState(draftOf(policy?.source));
  const [target, setTarget] = useState(draftOf(policy?.target));
  const [protocol, setProtocol] = useState<string>(policy?.protocol ?? "tcp");
  const [ports, setPorts] = useState(policy?.ports.join(", ") ?? "");
  const follow = useFollow();
  const onSuccess = (done: Policy) => {
    follow(done.operation);
    onClose();
  };
  const create = api.useMutation("post", "/v1/policies", { onSuccess });
  const change = api.useMutation("patch", "/v1/policies/{ref}", { onSuccess });
  const [from, to] = [askedOf(source), askedOf(target)];
  const numbers = parsePorts(ports);
  const hasPorts = protocol === "tcp" || protocol === "udp";
  const chosen = PROTOCOLS.find((one) => one.value === protocol)?.value ?? "tcp";
  const becomes =
    from !== null && to !== null && numbers !== null
      ? { name: isName(name) ? name : "unnamed", source: from, target: to, protocol: chosen, ports: hasPorts ? numbers : [] }
      : null;
  return (
    <FormDialog
      title={policy ? `Change policy ${policy.name}` : "Create a policy"}
      description="It lets VMs that it selects open connections to others that it selects."
      submit={policy ? "Apply the change" : "Apply"}
      wide
      ready={becomes !== null && isName(name) && (policy !== undefined || ofCloud || project !== "")}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() => {
        if (becomes === null) return;
        if (policy) change.mutate({ params: { path: { ref: policy.id }, header: ifMatch(policy) }, body: becomes });
        else create.mutate({ body: { ...becomes, project: project || null } });
      }}
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      {!policy && (
        <ChoiceField
          label="Of"
          value={project}
          onChange={(chosen) => {
            setProject(chosen);
            setSource({ ...source, project: chosen });
            setTarget({ ...target, project: chosen });
          }}
          none={ofCloud ? "The cloud" : "Choose a project"}
          required={!ofCloud}
          choices={mine.map((one) => ({ value: one.name, label: one.name }))}
          help="A project's own policy opens VMs of it to one another, and who manages the project manages it."
        />
      )}
      <Grid hasGutter>
        <GridItem md={6}>
          <SelectorFields title="Who may call" draft={source} onChange={setSource} />
        </GridItem>
        <GridItem md={6}>
          <SelectorFields title="Who may be called" draft={target} onChange={setTarget} />
        </GridItem>
        <GridItem md={6}>
          <ChoiceField label="Protocol" value={protocol} onChange={setProtocol} choices={PROTOCOLS} />
        </GridItem>
        {hasPorts && (
          <GridItem md={6}>
            <TextField
              label="Ports"
              value={ports}
              onChange={setPorts}
              help="Numbers apart by commas; none means all."
              wrong={numbers === null && "Numbers from 1 to 65535, apart by commas."}
            />
          </GridItem>
        )}
      </Grid>
      {becomes === null ? (
        <Content component="p" className="rf-subtle">
          Give each side a zone, a project or a label: what it opens and closes is then shown here before you apply it.
        </Content>
      ) : (
        <DryRun change={{ policy: policy?.id ?? null, becomes }} applying={create.isPending || change.isPending} />
      )}
    </FormDialog>
  );
}

interface SelectorProps {
  title: string;
  draft: SelectorDraft;
  onChange: (draft: SelectorDraft) => void;
}

function SelectorFields({ title, draft, onChange }: SelectorProps) {
  const zones = api.useQuery("get", "/v1/zones", ALL);
  const projects = api.useQuery("get", "/v1/projects", ALL);
  const names = (items: readonly { name: string }[] | undefined) => (items ?? []).map((one) => ({ value: one.name, label: one.name }));
  return (
    <FormFieldGroup header={<FormFieldGroupHeader titleText={{ text: title, id: `group-${title.replaceAll(" ", "-")}` }} />}>
      <ChoiceField label="Zone" value={draft.zone} onChange={(zone) => onChange({ ...draft, zone })} none="Any zone" choices={names(zones.data?.items)} />
      <ChoiceField
        label="Project"
        value={draft.project}
        onChange={(project) => onChange({ ...draft, project })}
        none="Any project"
        choices={names(projects.data?.items)}
      />
      <TextField
        label="Labels"
        value={draft.labels}
        onChange={(labels) => onChange({ ...draft, labels })}
        help="key=value, apart by commas; all must match."
        wrong={parseLabels(draft.labels) === null && "key=value, apart by commas."}
      />
    </FormFieldGroup>
  );
}
