/** One project: what it may have and has, and who is in it. */
import { Button, Content, Flex, Grid, GridItem, PageSection } from "@patternfly/react-core";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";

import { api, because, ifMatch, type Project } from "../api/client";
import { count } from "../format";
import { useMay } from "../may";
import { ConfirmByName } from "../parts/dialogs";
import { Heading, Loaded } from "../parts/page";
import { MembersCard } from "./project/members";
import { QuotaCard } from "./project/quota";
import { ProjectDialog, REMOVAL_WARNING } from "./projects";

const UNDER = { to: "/projects", name: "Projects" };

export function ProjectPage() {
  const { id = "" } = useParams();
  const project = api.useQuery("get", "/v1/projects/{ref}", { params: { path: { ref: id } } });
  if (project.data === undefined) {
    return (
      <>
        <Heading title="Project" under={UNDER} />
        <PageSection hasBodyWrapper={false}>
          <Loaded of={project}>{() => null}</Loaded>
        </PageSection>
      </>
    );
  }
  return <Known project={project.data} />;
}

function Known({ project }: { project: Project }) {
  const [open, setOpen] = useState<"change" | "delete" | null>(null);
  const may = useMay();
  const close = () => setOpen(null);
  return (
    <>
      <Heading
        title={project.name}
        under={UNDER}
        about={
          <>
            Owned by {project.owner}.{" "}
            <Link to={`/vms?project=${encodeURIComponent(project.name)}`}>{count(project.used.vms, "VM")}</Link>
          </>
        }
        actions={
          may.within(project.id, "project:manage") && (
            <Flex columnGap={{ default: "columnGapSm" }}>
              <Button variant="secondary" size="sm" onClick={() => setOpen("change")}>
                Change …
              </Button>
              <Button variant="danger" size="sm" onClick={() => setOpen("delete")}>
                Delete …
              </Button>
            </Flex>
          )
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Grid hasGutter>
          <GridItem lg={5}>
            <QuotaCard project={project} />
          </GridItem>
          <GridItem lg={7}>
            <MembersCard project={project} />
          </GridItem>
        </Grid>
      </PageSection>
      {open === "change" && <ProjectDialog project={project} onClose={close} />}
      {open === "delete" && <DeleteDialog project={project} onClose={close} />}
    </>
  );
}

function DeleteDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const go = useNavigate();
  const remove = api.useMutation("delete", "/v1/projects/{ref}", { onSuccess: () => void go("/projects") });
  return (
    <ConfirmByName
      title={`Delete project ${project.name}?`}
      name={project.name}
      verb="Delete"
      reasoned
      busy={remove.isPending}
      error={remove.error}
      onConfirm={(reason) =>
        remove.mutate({ params: { path: { ref: project.id }, header: ifMatch(project) }, headers: because(reason) })
      }
      onClose={onClose}
    >
      <Content component="p">{REMOVAL_WARNING}</Content>
    </ConfirmByName>
  );
}
