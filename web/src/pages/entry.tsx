/** One entry of the ledger: what changed, and the proof that the entry is in it. */
import {
  Card,
  CardBody,
  CardTitle,
  ClipboardCopy,
  ClipboardCopyVariant,
  Content,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Grid,
  GridItem,
  PageSection,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useParams } from "react-router";

import { api, type Schemas } from "../api/client";
import { moment, words } from "../format";
import { differences } from "../ledger";
import { Heading, Loaded } from "../parts/page";
import { who } from "./ledger";

export function EntryPage() {
  const index = Number(useParams()["index"]);
  const path = { params: { path: { index } } };
  const entry = api.useQuery("get", "/v1/ledger/entries/{index}", path);
  const proof = api.useQuery("get", "/v1/ledger/entries/{index}/proof", path, { refetchInterval: false });
  return (
    <>
      <Heading title={`Entry ${index}`} under={{ to: "/ledger", name: "Ledger" }} />
      <PageSection hasBodyWrapper={false}>
        <Loaded of={entry}>
          {(told) => (
            <Grid hasGutter>
              <GridItem lg={5}>
                <About entry={told} />
              </GridItem>
              <GridItem lg={7}>
                <Changed entry={told} />
              </GridItem>
              <GridItem>
                <Card>
                  <CardTitle component="h2">Proof that it is in the ledger</CardTitle>
                  <CardBody>
                    <Content component="p">
                      What an auditor needs to check it without this controller, besides the ledger’s verifier key.
                    </Content>
                    <Loaded of={proof}>
                      {(given) => (
                        <ClipboardCopy isReadOnly isCode variant={ClipboardCopyVariant.expansion} textAriaLabel="The proof" toggleAriaLabel="Show all of the proof">
                          {JSON.stringify(given, null, 2)}
                        </ClipboardCopy>
                      )}
                    </Loaded>
                  </CardBody>
                </Card>
              </GridItem>
            </Grid>
          )}
        </Loaded>
      </PageSection>
    </>
  );
}

function About({ entry }: { entry: Schemas["EntryTold"] }) {
  const facts: [string, string][] = [
    ["When", moment(entry.at)],
    ["What", `${words(entry.action)}${entry.outcome === "denied" ? ", denied" : ""}`],
    ["On", `${words(entry.subject.kind)} ${entry.subject.name}`],
    ["By whom", who(entry.actor)],
    ["Why", entry.reason || "No reason was given."],
    ["Leaf hash", entry.leaf_hash],
  ];
  return (
    <Card isFullHeight>
      <CardTitle component="h2">What happened</CardTitle>
      <CardBody>
        <DescriptionList isHorizontal isCompact>
          {facts.map(([name, value]) => (
            <DescriptionListGroup key={name}>
              <DescriptionListTerm>{name}</DescriptionListTerm>
              <DescriptionListDescription className={name === "Leaf hash" ? "rf-mono rf-break" : undefined}>{value}</DescriptionListDescription>
            </DescriptionListGroup>
          ))}
        </DescriptionList>
      </CardBody>
    </Card>
  );
}

function Changed({ entry }: { entry: Schemas["EntryTold"] }) {
  const changed = differences(entry.before, entry.after);
  return (
    <Card isFullHeight>
      <CardTitle component="h2">What changed</CardTitle>
      <CardBody>
        {changed.length === 0 ? (
          <Content component="p">Nothing in the record.</Content>
        ) : (
          <Table variant="compact" aria-label="What changed">
            <Thead>
              <Tr>
                <Th>Column</Th>
                <Th>Before</Th>
                <Th>After</Th>
              </Tr>
            </Thead>
            <Tbody>
              {changed.map((one) => (
                <Tr key={one.column}>
                  <Td dataLabel="Column">{words(one.column)}</Td>
                  <Td dataLabel="Before" className="rf-break">
                    {one.before}
                  </Td>
                  <Td dataLabel="After" className="rf-break">
                    {one.after}
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
