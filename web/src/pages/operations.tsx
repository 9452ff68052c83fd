/** All operations, newest first. */
import { FormSelect, FormSelectOption, PageSection, Toolbar, ToolbarContent, ToolbarGroup, ToolbarItem } from "@patternfly/react-core";
import { ListIcon } from "@patternfly/react-icons/dist/esm/icons/list-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { keepPreviousData } from "@tanstack/react-query";
import { Link } from "react-router";

import { api, type Operation } from "../api/client";
import { ago, lasting, words } from "../format";
import { lineOf, titleOf } from "../parts/follow";
import { Heading, Loaded, Nothing } from "../parts/page";
import { Paging, useFilters } from "../parts/paging";
import { OperationState } from "../parts/states";

const STATES: readonly Operation["state"][] = ["running", "pending", "rolling-back", "done", "failed"];
const KINDS: readonly Operation["kind"][] = [
  "create-vm",
  "start-vm",
  "stop-vm",
  "move-vm",
  "delete-vm",
  "apply-fence",
  "import-image",
  "verify",
];

export function OperationsPage() {
  const filters = useFilters(["state", "kind"]);
  const operations = api.useQuery(
    "get",
    "/v1/operations",
    {
      params: {
        query: {
          state: STATES.find((one) => one === filters.values.state),
          kind: KINDS.find((one) => one === filters.values.kind),
          limit: 50,
          cursor: filters.cursor,
        },
      },
    },
    { placeholderData: keepPreviousData },
  );
  return (
    <>
      <Heading title="Operations" />
      <PageSection hasBodyWrapper={false}>
        <Toolbar>
          <ToolbarContent>
            <ToolbarGroup variant="filter-group">
              <Choose label="kind" names={KINDS} value={filters.values.kind} onChange={(value) => filters.set("kind", value)} />
              <Choose label="state" names={STATES} value={filters.values.state} onChange={(value) => filters.set("state", value)} />
            </ToolbarGroup>
            <ToolbarGroup align={{ default: "alignEnd" }}>
              <Paging next={operations.data?.next} shown={operations.data?.items.length ?? 0} what="operations" />
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
        <Loaded of={operations} lines={8}>
          {({ items }) =>
            items.length > 0 ? (
              <OperationTable items={items} />
            ) : (
              <Nothing
                icon={ListIcon}
                title={filters.any ? "No operation matches" : "Nothing was asked of this cloud yet"}
                {...(filters.any ? { action: { label: "Clear the filters", onClick: filters.clear } } : {})}
              >
                Whatever takes long is an operation, and can be watched here step by step.
              </Nothing>
            )
          }
        </Loaded>
      </PageSection>
    </>
  );
}

function Choose(props: { label: string; names: readonly string[]; value: string | undefined; onChange: (value: string) => void }) {
  return (
    <ToolbarItem>
      <FormSelect value={props.value ?? ""} aria-label={`Only of one ${props.label}`} onChange={(_, value) => props.onChange(value)}>
        <FormSelectOption value="" label={`Any ${props.label}`} />
        {props.names.map((name) => (
          <FormSelectOption key={name} value={name} label={words(name)} />
        ))}
      </FormSelect>
    </ToolbarItem>
  );
}

function OperationTable({ items }: { items: readonly Operation[] }) {
  return (
    <Table variant="compact" aria-label="Operations">
      <Thead>
        <Tr>
          <Th>Operation</Th>
          <Th>State</Th>
          <Th>Began</Th>
          <Th>Took</Th>
          <Th width={45}>What is said of it</Th>
        </Tr>
      </Thead>
      <Tbody>
        {items.map((operation) => (
          <Tr key={operation.id}>
            <Td dataLabel="Operation">
              <Link to={`/operations/${operation.id}`}>{titleOf(operation)}</Link>
            </Td>
            <Td dataLabel="State">
              <OperationState state={operation.state} />
            </Td>
            <Td dataLabel="Began" modifier="nowrap">
              {ago(operation.created_at)}
            </Td>
            <Td dataLabel="Took" modifier="nowrap">
              {lasting(operation.created_at, operation.ended_at)}
            </Td>
            <Td dataLabel="What is said of it">{lineOf(operation)}</Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
