/** Errors as people read them: what went wrong, what to do, and the code to search for. */
import { Alert, Content, List, ListItem } from "@patternfly/react-core";

import { problemOf } from "../api/client";
import { words } from "../format";

export function ProblemAlert({ error, title }: { error: unknown; title?: string }) {
  const problem = problemOf(error);
  return (
    <Alert variant="danger" isInline title={title ?? problem.detail} data-testid="problem">
      {title !== undefined && <Content component="p">{problem.detail}</Content>}
      <Reasons facts={problem.facts} />
      {problem.remedy !== "" && <Content component="p">{problem.remedy}</Content>}
      <Content component="small">
        {words(problem.family)} · code <code>{problem.code}</code>
      </Content>
    </Alert>
  );
}

/** The reasons host by host, where a placement was refused. */
function Reasons({ facts }: { facts: Record<string, unknown> }) {
  const rejected = facts["rejected"];
  if (typeof rejected !== "object" || rejected === null) return null;
  return (
    <List>
      {Object.entries(rejected).map(([host, why]) => (
        <ListItem key={host}>
          <strong>{host}</strong>: {String(why)}
        </ListItem>
      ))}
    </List>
  );
}
