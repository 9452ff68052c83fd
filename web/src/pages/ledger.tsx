/** The ledger: every change, by whom, from where and why. Searched by what, by whom and when. */
import {
  Alert,
  FormSelect,
  FormSelectOption,
  PageSection,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { BookIcon } from "@patternfly/react-icons/dist/esm/icons/book-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { keepPreviousData } from "@tanstack/react-query";
import { Link } from "react-router";

import { api, type Schemas } from "../api/client";
import { moment, words } from "../format";
import { Heading, Loaded, Nothing } from "../parts/page";
import { useFilters } from "../parts/paging";
import { Search } from "../parts/search";
import { StateLabel } from "../parts/states";

type Entry = Schemas["EntryTold"];

const MOST = 1000;
const HOUR_MS = 3_600_000;
const SPANS: Record<string, { name: string; ms: number }> = {
  hour: { name: "The last hour", ms: HOUR_MS },
  day: { name: "The last day", ms: 24 * HOUR_MS },
  week: { name: "The last week", ms: 7 * 24 * HOUR_MS },
};
const KINDS = [
  "vm",
  "claim",
  "host",
  "zone",
  "project",
  "policy",
  "network",
  "image",
  "flavor",
  "operation",
  "account",
  "token",
  "session",
];

export function LedgerPage() {
  const { values, set, clear, any } = useFilters(["kind", "name", "actor", "span"]);
  const span = values.span ?? "day";
  // To the minute, so that the question stays the same one while it is looked at.
  const since = SPANS[span] && new Date(Math.floor(Date.now() / 60_000) * 60_000 - SPANS[span].ms).toISOString();
  const entries = api.useQuery(
    "get",
    "/v1/ledger/entries",
    { params: { query: { kind: values.kind, name: values.name, actor: values.actor, since, limit: MOST } } },
    { placeholderData: keepPreviousData },
  );
  return (
    <>
      <Heading title="Ledger" about="Every change and every denied attempt, by whom, from where and why. Nobody can alter it unseen." />
      <PageSection hasBodyWrapper={false}>
        <Toolbar>
          <ToolbarContent>
            <ToolbarItem>
              <Search label="Name of the thing" value={values.name} onSet={(text) => set("name", text)} />
            </ToolbarItem>
            <ToolbarItem>
              <Search label="By whom" value={values.actor} onSet={(text) => set("actor", text)} />
            </ToolbarItem>
            <ToolbarGroup variant="filter-group">
              <ToolbarItem>
                <FormSelect value={values.kind ?? ""} aria-label="Only of one kind" onChange={(_, kind) => set("kind", kind)}>
                  <FormSelectOption value="" label="Any kind" />
                  {KINDS.map((kind) => (
                    <FormSelectOption key={kind} value={kind} label={words(kind)} />
                  ))}
                </FormSelect>
              </ToolbarItem>
              <ToolbarItem>
                <FormSelect value={span} aria-label="Since when" onChange={(_, text) => set("span", text)}>
                  {Object.entries(SPANS).map(([key, { name }]) => (
                    <FormSelectOption key={key} value={key} label={name} />
                  ))}
                  <FormSelectOption value="all" label="All of it" />
                </FormSelect>
              </ToolbarItem>
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
        <Loaded of={entries} lines={8}>
          {({ items, next }) =>
            items.length === 0 ? (
              <Nothing
                icon={BookIcon}
                title={any ? "No entry matches" : "Nothing was changed in this time"}
                {...(any ? { action: { label: "Clear the filters", onClick: clear } } : {})}
              >
                Names are whole ones. Look further back, or for something else.
              </Nothing>
            ) : (
              <>
                {next !== null && (
                  <Alert isInline variant="info" title={`These are the first ${MOST} of that time: narrow it to see the others.`} />
                )}
                <Entries items={[...items].reverse()} />
              </>
            )
          }
        </Loaded>
      </PageSection>
    </>
  );
}

function Entries({ items }: { items: readonly Entry[] }) {
  return (
    <Table variant="compact" aria-label="Entries">
      <Thead>
        <Tr>
          <Th>Entry</Th>
          <Th>When</Th>
          <Th>What</Th>
          <Th>On</Th>
          <Th>By whom</Th>
          <Th>Why</Th>
        </Tr>
      </Thead>
      <Tbody>
        {items.map((entry) => (
          <Tr key={entry.index}>
            <Td dataLabel="Entry">
              <Link to={`/ledger/${entry.index}`}>{entry.index}</Link>
            </Td>
            <Td dataLabel="When" modifier="nowrap">
              {moment(entry.at)}
            </Td>
            <Td dataLabel="What">
              {words(entry.action)} {entry.outcome === "denied" && <StateLabel state="failed" text="Denied" />}
            </Td>
            <Td dataLabel="On">
              <span className="rf-subtle">{words(entry.subject.kind)}</span> {entry.subject.name}
            </Td>
            <Td dataLabel="By whom">{who(entry.actor)}</Td>
            <Td dataLabel="Why">{entry.reason || "–"}</Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

/** `controller for ada`, or `ada, from 192.0.2.7`. */
export function who(actor: Entry["actor"]): string {
  const name = actor.name || words(actor.kind);
  if (actor.on_behalf_of) return `${name} for ${actor.on_behalf_of}`;
  return actor.source ? `${name}, from ${actor.source}` : name;
}
