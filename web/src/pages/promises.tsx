/** The promises with the evidence of the last verification: each question, what was seen, and the items that were looked at. */
import {
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  Content,
  ExpandableSection,
  List,
  ListItem,
  PageSection,
  Stack,
  StackItem,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useEffect } from "react";
import { Link, useLocation } from "react-router";

import { moment } from "../format";
import { Heading } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { StateLabel } from "../parts/states";
import { VerifyButton } from "../parts/verify";
import { type Finding, findingsOf, PROMISES, useVerifications, verdictOf } from "../promises";

export function PromisesPage() {
  const { evidence, error } = useVerifications();
  const { hash } = useLocation();
  const findings = findingsOf(evidence);
  useEffect(() => {
    if (hash) document.getElementById(hash.slice(1))?.scrollIntoView();
  }, [hash, evidence?.id]);
  return (
    <>
      <Heading
        title="Promises"
        about={
          evidence?.ended_at ? (
            <>
              As verified at {moment(evidence.ended_at)}. <Link to={`/operations/${evidence.id}`}>The verification</Link>
            </>
          ) : (
            "Not verified yet. A verification looks at every host, every VM and every rule, and says what it saw."
          )
        }
        actions={<VerifyButton />}
      />
      <PageSection hasBodyWrapper={false}>
        {error !== null && <ProblemAlert error={error} />}
        <Stack hasGutter>
          {PROMISES.map((promise) => (
            <StackItem key={promise.number} id={`promise-${promise.number}`}>
              <PromiseCard promise={promise} findings={findings.filter((one) => one.promise === promise.number)} />
            </StackItem>
          ))}
        </Stack>
      </PageSection>
    </>
  );
}

function PromiseCard({ promise, findings }: { promise: (typeof PROMISES)[number]; findings: readonly Finding[] }) {
  const verdict = verdictOf(findings);
  return (
    <Card>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: <StateLabel state={verdict} text={findings.length === 0 ? "Not verified" : undefined} />,
        }}
      >
        <CardTitle component="h2">
          {promise.number} {promise.name}
        </CardTitle>
      </CardHeader>
      <CardBody>
        <Content component="p">{promise.says}</Content>
        {findings.length > 0 && (
          <Table variant="compact" aria-label={`Evidence of promise ${promise.number}`}>
            <Thead>
              <Tr>
                <Th width={40}>Question</Th>
                <Th width={10}>Verdict</Th>
                <Th>What was seen</Th>
              </Tr>
            </Thead>
            <Tbody>
              {findings.map((finding) => (
                <Tr key={finding.question}>
                  <Td dataLabel="Question">{finding.question}</Td>
                  <Td dataLabel="Verdict">
                    <StateLabel state={finding.verdict} />
                  </Td>
                  <Td dataLabel="What was seen">
                    {finding.seen}
                    <Items items={finding.items} />
                  </Td>
                </Tr>
              ))}
            </Tbody>
          </Table>
        )}
      </CardBody>
    </Card>
  );
}

function Items({ items }: { items: readonly string[] }) {
  if (items.length < 2) return null;
  return (
    <ExpandableSection toggleText={`All ${items.length}`}>
      <List>
        {items.map((item) => (
          <ListItem key={item}>{item}</ListItem>
        ))}
      </List>
    </ExpandableSection>
  );
}
