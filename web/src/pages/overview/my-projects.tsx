/** The overview for somebody who sees projects of theirs, and not the cloud: what they have, and what was done lately. */
import { Card, CardBody, CardTitle, Grid, GridItem, PageSection } from "@patternfly/react-core";
import { UsersIcon } from "@patternfly/react-icons/dist/esm/icons/users-icon";
import { Link } from "react-router";

import { api, type Schemas } from "../../api/client";
import { words } from "../../format";
import { Heading, Loaded, Nothing } from "../../parts/page";
import { QuotaBars } from "../../parts/quota-bars";
import { Recent } from "../../parts/recent";

export function OfMyProjects({ projects }: { projects: readonly Schemas["RoleInProject"][] }) {
  return (
    <>
      <Heading title="Overview" about={projects.length > 0 && "Your projects, what they have of their quotas, and what was done in them lately."} />
      <PageSection hasBodyWrapper={false}>
        {projects.length === 0 ? (
          <Nothing icon={UsersIcon} title="You are in no project yet" link={{ to: "/account", label: "My account" }}>
            Ask the owner of a project to take you in, or an administrator for a role in the cloud.
          </Nothing>
        ) : (
          <Grid hasGutter>
            {projects.map((project) => (
              <GridItem key={project.id} lg={6}>
                <ProjectCard project={project} />
              </GridItem>
            ))}
            <GridItem>
              <Recent />
            </GridItem>
          </Grid>
        )}
      </PageSection>
    </>
  );
}

function ProjectCard({ project: { id, name, role } }: { project: Schemas["RoleInProject"] }) {
  const project = api.useQuery("get", "/v1/projects/{ref}", { params: { path: { ref: id } } });
  return (
    <Card isFullHeight>
      <CardTitle component="h2">
        <Link to={`/projects/${id}`}>{name}</Link> <span className="rf-subtle">{words(role)}</span>
      </CardTitle>
      <CardBody>
        <Loaded of={project}>{(told) => <QuotaBars project={told} />}</Loaded>
      </CardBody>
    </Card>
  );
}
