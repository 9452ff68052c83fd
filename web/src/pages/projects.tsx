/** Projects: the tenants. */
import { UsersIcon } from "@patternfly/react-icons/dist/esm/icons/users-icon";
import { useState } from "react";
import { Link } from "react-router";

import { api, because, ifMatch, type Project } from "../api/client";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { isName, NameField, TextField } from "../parts/fields";
import { NounPage } from "../parts/noun";

export const REMOVAL_WARNING = "Only a project that has nothing left can be deleted.";

export function ProjectsPage() {
  const may = useMay();
  const projects = api.useQuery("get", "/v1/projects", { params: { query: { limit: 1000 } } });
  const remove = api.useMutation("delete", "/v1/projects/{ref}");
  return (
    <NounPage<Project>
      title="Projects"
      one="project"
      about="A project is a tenant: it owns VMs and networks, and somebody answers for it."
      icon={UsersIcon}
      create="Create project"
      mayCreate={may.cloud("project:manage")}
      mayChange={(project) => may.within(project.id, "project:manage")}
      empty={
        may.cloud("project:manage")
          ? "Every VM is of one project. Create one for each team or customer."
          : "You are a member of none yet. Ask a project's owner, or an administrator, to take you in."
      }
      of={projects}
      columns={[
        { title: "Name", cell: (project) => <Link to={`/projects/${project.id}`}>{project.name}</Link> },
        { title: "Owner", cell: (project) => project.owner },
        {
          title: "VMs",
          cell: (project) => (
            <Link to={`/vms?project=${encodeURIComponent(project.name)}`} aria-label={`${project.used.vms} VMs of ${project.name}`}>
              {project.used.vms}
            </Link>
          ),
        },
      ]}
      form={(project, close) => <ProjectDialog project={project} onClose={close} />}
      removal={{
        busy: remove.isPending,
        error: remove.error,
        reset: remove.reset,
        warning: REMOVAL_WARNING,
        reasoned: true,
        onConfirm: (project, done, reason) =>
          remove.mutate(
            { params: { path: { ref: project.id }, header: ifMatch(project) }, headers: because(reason) },
            { onSuccess: done },
          ),
      }}
    />
  );
}

export function ProjectDialog({ project, onClose }: { project: Project | undefined; onClose: () => void }) {
  const [name, setName] = useState(project?.name ?? "");
  const [owner, setOwner] = useState(project?.owner ?? "");
  const create = api.useMutation("post", "/v1/projects", { onSuccess: onClose });
  const change = api.useMutation("patch", "/v1/projects/{ref}", { onSuccess: onClose });
  const body = { name, owner: owner.trim() };
  return (
    <FormDialog
      title={project ? `Change project ${project.name}` : "Create a project"}
      submit={project ? "Save" : "Create"}
      ready={isName(name) && owner.trim() !== ""}
      busy={create.isPending || change.isPending}
      error={create.error ?? change.error}
      onSubmit={() =>
        project
          ? change.mutate({ params: { path: { ref: project.id }, header: ifMatch(project) }, body })
          : create.mutate({ body })
      }
      onClose={onClose}
    >
      <NameField value={name} onChange={setName} />
      <TextField
        label="Owner"
        value={owner}
        onChange={setOwner}
        required
        help={project ? "VMs that there are keep the owners they have." : "Who answers for it. Its VMs are theirs unless another owner is named."}
      />
    </FormDialog>
  );
}
