/** What a project may have at most, and what it has of that. */
import { Button, Card, CardBody, CardHeader, CardTitle } from "@patternfly/react-core";
import { useState } from "react";

import { api, ifMatch, type Project } from "../../api/client";
import { useMay } from "../../may";
import { FormDialog } from "../../parts/dialogs";
import { TextField } from "../../parts/fields";
import { type Kind, KINDS, QuotaBars } from "../../parts/quota-bars";

export function QuotaCard({ project }: { project: Project }) {
  const [changing, setChanging] = useState(false);
  const mayChange = useMay().within(project.id, "project:manage");
  const change = (
    <Button variant="link" isInline onClick={() => setChanging(true)}>
      Change the quota
    </Button>
  );
  return (
    <Card isFullHeight>
      <CardHeader actions={mayChange ? { hasNoOffset: true, actions: change } : undefined}>
        <CardTitle component="h2">Quota</CardTitle>
      </CardHeader>
      <CardBody>
        <QuotaBars project={project} />
      </CardBody>
      {changing && <QuotaDialog project={project} onClose={() => setChanging(false)} />}
    </Card>
  );
}

function QuotaDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const [typed, setTyped] = useState(() =>
    Object.fromEntries(KINDS.map(({ kind, unit }) => [kind, shown(project.quota[kind], unit)])) as Record<Kind, string>,
  );
  const change = api.useMutation("patch", "/v1/projects/{ref}", { onSuccess: onClose });
  const read = (kind: Kind, unit: number) => (typed[kind].trim() === "" ? null : Math.round(Number(typed[kind]) * unit));
  const quota = Object.fromEntries(KINDS.map(({ kind, unit }) => [kind, read(kind, unit)])) as Record<Kind, number | null>;
  const isWrong = (bound: number | null) => bound !== null && !(bound >= 0);
  return (
    <FormDialog
      title={`Quota of ${project.name}`}
      description="What it may have at most, running or not. An empty field sets no bound."
      submit="Save"
      ready={!Object.values(quota).some(isWrong)}
      busy={change.isPending}
      error={change.error}
      onSubmit={() => change.mutate({ params: { path: { ref: project.id }, header: ifMatch(project) }, body: { quota } })}
      onClose={onClose}
    >
      {KINDS.map(({ kind, field, show }, place) => (
        <TextField
          key={kind}
          label={field}
          type="number"
          value={typed[kind]}
          onChange={(text) => setTyped({ ...typed, [kind]: text })}
          autoFocus={place === 0}
          help={`It has ${show(project.used[kind])} now.`}
          wrong={isWrong(quota[kind]) && "0 or more, or empty."}
        />
      ))}
    </FormDialog>
  );
}

function shown(bound: number | null, unit: number): string {
  return bound === null ? "" : String(bound / unit);
}
