/** One operation, step by step while it goes on; a rollback shows as the steps that it is. */
import {
  Card,
  CardBody,
  CardTitle,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Grid,
  GridItem,
  PageSection,
  ProgressStep,
  ProgressStepper,
} from "@patternfly/react-core";
import type { ReactNode } from "react";
import { Link, useParams } from "react-router";

import { api, type Operation } from "../api/client";
import { lasting, moment, words } from "../format";
import { titleOf } from "../parts/follow";
import { Heading, Loaded } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { OperationState } from "../parts/states";

export function OperationPage() {
  const { id = "" } = useParams();
  const operation = api.useQuery("get", "/v1/operations/{ref}", { params: { path: { ref: id } } });
  const known = operation.data;
  return (
    <>
      <Heading
        title={known ? titleOf(known) : "Operation"}
        under={{ to: "/operations", name: "Operations" }}
        beside={known && <OperationState state={known.state} />}
      />
      <PageSection hasBodyWrapper={false}>
        <Loaded of={operation}>{(told) => <Known operation={told} />}</Loaded>
      </PageSection>
    </>
  );
}

function Known({ operation }: { operation: Operation }) {
  return (
    <Grid hasGutter>
      <GridItem lg={8}>
        <Card isFullHeight>
          <CardTitle component="h2">Steps</CardTitle>
          <CardBody>
            {operation.error !== null && (
              <ProblemAlert
                error={{ ...operation.error, detail: operation.error.message, type: "", title: "" }}
                title={operation.state === "failed" ? "It was not done" : "It goes wrong, and is rolled back"}
              />
            )}
            <Steps operation={operation} />
          </CardBody>
        </Card>
      </GridItem>
      <GridItem lg={4}>
        <Card isFullHeight>
          <CardTitle component="h2">About it</CardTitle>
          <CardBody>
            <DescriptionList isCompact>
              <Fact name="Began">{moment(operation.created_at)}</Fact>
              <Fact name="Took">{lasting(operation.created_at, operation.ended_at)}</Fact>
              <Fact name="On">
                <Subject operation={operation} />
              </Fact>
              <Fact name="Id">
                <span className="rf-mono">{operation.id}</span>
              </Fact>
            </DescriptionList>
          </CardBody>
        </Card>
      </GridItem>
    </Grid>
  );
}

function Steps({ operation }: { operation: Operation }) {
  if (operation.steps.length === 0) {
    return <span className="rf-subtle">{operation.ended_at === null ? "It has not begun yet." : "It had no steps."}</span>;
  }
  return (
    <ProgressStepper isVertical aria-label="Steps">
      {operation.steps.map((step) => {
        const variant = step.state === "done" ? "success" : step.state === "failed" ? "danger" : "info";
        return (
          <ProgressStep
            key={step.number}
            id={`step-${step.number}`}
            titleId={`step-${step.number}-title`}
            variant={variant}
            isCurrent={step.state === "running"}
            aria-label={`Step ${step.number}, ${step.state}`}
            description={[step.detail, lasting(step.started_at, step.ended_at)].filter(Boolean).join(" · ")}
          >
            {words(step.name)}
          </ProgressStep>
        );
      })}
    </ProgressStepper>
  );
}

function Subject({ operation }: { operation: Operation }) {
  const places: Partial<Record<Operation["kind"], string>> = {
    "apply-fence": "/fence/policies",
    "import-image": "/images",
    verify: "/promises",
  };
  const to = places[operation.kind] ?? `/vms/${operation.subject_id}`;
  return <Link to={to}>{operation.kind === "verify" ? "All promises" : operation.subject_name}</Link>;
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <DescriptionListGroup>
      <DescriptionListTerm>{name}</DescriptionListTerm>
      <DescriptionListDescription>{children}</DescriptionListDescription>
    </DescriptionListGroup>
  );
}
