/** All VMs: paged by the server, filtered by what the address says. */
import {
  Button,
  FormSelect,
  FormSelectOption,
  PageSection,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from "@patternfly/react-core";
import { CubesIcon } from "@patternfly/react-icons/dist/esm/icons/cubes-icon";
import { SearchIcon } from "@patternfly/react-icons/dist/esm/icons/search-icon";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { keepPreviousData } from "@tanstack/react-query";
import { Link, useNavigate } from "react-router";

import { api, type Schemas, type Vm } from "../api/client";
import { words } from "../format";
import { useMay } from "../may";
import { Heading, Loaded, Nothing } from "../parts/page";
import { Paging, useFilters } from "../parts/paging";
import { Search } from "../parts/search";
import { StateLabel } from "../parts/states";
import { VmActions } from "../parts/vm-actions";
import { useZones, ZoneName } from "../parts/zones";

const PAGE = 50;
const FILTERS = ["search", "project", "zone", "host", "state"] as const;
const STATES: readonly Schemas["VmState"][] = [
  "running",
  "stopped",
  "creating",
  "starting",
  "stopping",
  "moving",
  "deleting",
  "quarantined",
];

export function VmsPage() {
  const filters = useFilters(FILTERS);
  const go = useNavigate();
  const may = useMay();
  const { state, ...texts } = filters.values;
  const vms = api.useQuery(
    "get",
    "/v1/vms",
    {
      params: {
        query: {
          ...texts,
          state: STATES.find((one) => one === state),
          limit: PAGE,
          cursor: filters.cursor,
        },
      },
    },
    { placeholderData: keepPreviousData },
  );
  return (
    <>
      <Heading
        title="VMs"
        actions={may.somewhere("vm:create") && <Button onClick={() => void go("/vms/new")}>Create VM</Button>}
      />
      <PageSection hasBodyWrapper={false}>
        <FilterBar filters={filters} next={vms.data?.next} shown={vms.data?.items.length ?? 0} />
        <Loaded of={vms} lines={8}>
          {({ items }) =>
            items.length > 0 ? (
              <VmTable items={items} />
            ) : filters.any || filters.cursor ? (
              <Nothing icon={SearchIcon} title="No VM matches" action={{ label: "Clear the filters", onClick: filters.clear }}>
                There are VMs perhaps, but none with all of these.
              </Nothing>
            ) : (
              <Nothing icon={CubesIcon} title="No VM yet" link={may.somewhere("vm:create") ? { to: "/vms/new", label: "Create the first VM" } : undefined}>
                A VM has one zone, one project and one owner for life. It needs an image and a flavor.
              </Nothing>
            )
          }
        </Loaded>
      </PageSection>
    </>
  );
}

function FilterBar(props: { filters: ReturnType<typeof useFilters<(typeof FILTERS)[number]>>; next: string | null | undefined; shown: number }) {
  const { filters } = props;
  const { set } = filters;
  const projects = api.useQuery("get", "/v1/projects", { params: { query: { limit: 1000 } } });
  const seesHosts = useMay().cloud("host:read");
  const hosts = api.useQuery("get", "/v1/hosts", { params: { query: { limit: 1000 } } }, { enabled: seesHosts });
  const zones = useZones();
  const names = (page: { items: { name: string }[] } | undefined) => page?.items.map((one) => one.name) ?? [];
  return (
    <Toolbar>
      <ToolbarContent>
        <ToolbarItem>
          <Search label="Part of the name" value={filters.values.search} onSet={(text) => set("search", text)} />
        </ToolbarItem>
        <ToolbarGroup variant="filter-group">
          <Choose label="project" names={names(projects.data)} value={filters.values.project} onChange={(value) => set("project", value)} />
          <Choose label="zone" names={names(zones.data)} value={filters.values.zone} onChange={(value) => set("zone", value)} />
          {seesHosts && (
            <Choose label="host" names={names(hosts.data)} value={filters.values.host} onChange={(value) => set("host", value)} />
          )}
          <Choose label="state" names={STATES} value={filters.values.state} onChange={(value) => set("state", value)} />
        </ToolbarGroup>
        {filters.any && (
          <ToolbarItem>
            <Button variant="link" onClick={filters.clear}>
              Clear
            </Button>
          </ToolbarItem>
        )}
        <ToolbarGroup align={{ default: "alignEnd" }}>
          <Paging next={props.next} shown={props.shown} what="VMs" />
        </ToolbarGroup>
      </ToolbarContent>
    </Toolbar>
  );
}

function Choose(props: { label: string; names: readonly string[]; value: string | undefined; onChange: (value: string) => void }) {
  const unknown = props.value !== undefined && !props.names.includes(props.value) ? [props.value] : [];
  return (
    <ToolbarItem>
      <FormSelect value={props.value ?? ""} aria-label={`Only of one ${props.label}`} onChange={(_, value) => props.onChange(value)}>
        <FormSelectOption value="" label={`Any ${props.label}`} />
        {[...unknown, ...props.names].map((name) => (
          <FormSelectOption key={name} value={name} label={props.label === "state" ? words(name) : name} />
        ))}
      </FormSelect>
    </ToolbarItem>
  );
}

function VmTable({ items }: { items: readonly Vm[] }) {
  const seesHosts = useMay().cloud("host:read");
  return (
    <Table variant="compact" aria-label="VMs">
      <Thead>
        <Tr>
          <Th>Name</Th>
          <Th>State</Th>
          <Th>Zone</Th>
          <Th>Project</Th>
          <Th>Owner</Th>
          {seesHosts && <Th>Host</Th>}
          <Th>Flavor</Th>
          <Th>Address</Th>
          <Th screenReaderText="Actions" />
        </Tr>
      </Thead>
      <Tbody>
        {items.map((vm) => (
          <Tr key={vm.id}>
            <Td dataLabel="Name" modifier="nowrap">
              <Link to={`/vms/${vm.id}`}>{vm.name}</Link>
            </Td>
            <Td dataLabel="State">
              <StateLabel state={vm.state} />
            </Td>
            <Td dataLabel="Zone">
              <ZoneName name={vm.zone} />
            </Td>
            <Td dataLabel="Project">{vm.project}</Td>
            <Td dataLabel="Owner">{vm.owner}</Td>
            {seesHosts && (
              <Td dataLabel="Host">{vm.host === null ? "–" : <Link to={`/hosts/${vm.host_id}`}>{vm.host}</Link>}</Td>
            )}
            <Td dataLabel="Flavor">{vm.flavor}</Td>
            <Td dataLabel="Address" className="rf-mono">
              {vm.ports[0]?.address ?? "–"}
              {vm.ports.length > 1 && ` +${vm.ports.length - 1}`}
            </Td>
            <Td isActionCell>
              <VmActions vm={vm} />
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}
