/** Who may call whom, put together for people: parties of one zone and project are one *side*. */
import type { Schemas } from "./api/client";
import { count, opening, showLabels } from "./format";

type Fence = Schemas["FenceTold"];
type Party = Schemas["PartyTold"];
type Opening = Schemas["OpeningTold"];
type Selector = Schemas["SelectorTold"];

export interface Side {
  id: string;
  zone: string;
  zoneId: string;
  project: string;
  vms: number;
}

/** One cell of the matrix: what some or all VMs of one side may open to the other. */
export interface Cell {
  openings: readonly string[];
  /** Whether every VM of the one side may call every VM of the other that it shares a network with. */
  whole: boolean;
  ways: readonly { source: Party; target: Party; allowed: string; policies: readonly string[] }[];
}

export interface Matrix {
  sides: readonly Side[];
  cell: (source: Side, target: Side) => Cell | undefined;
}

const sideId = (party: Party) => `${party.zone_id}/${party.project_id}`;

export function matrixOf(fence: Fence): Matrix {
  const sides = new Map<string, Side>();
  for (const party of fence.parties) {
    const id = sideId(party);
    const side = sides.get(id) ?? { id, zone: party.zone, zoneId: party.zone_id, project: party.project, vms: 0 };
    sides.set(id, { ...side, vms: side.vms + party.vms });
  }
  const ways = new Map<string, Fence["ways"]>();
  for (const way of fence.ways) {
    const [source, target] = [fence.parties[way.source], fence.parties[way.target]];
    if (source === undefined || target === undefined) continue;
    const key = `${sideId(source)}>${sideId(target)}`;
    ways.set(key, [...(ways.get(key) ?? []), way]);
  }
  const sorted = [...sides.values()].sort((a, b) => a.zone.localeCompare(b.zone) || a.project.localeCompare(b.project));
  return {
    sides: sorted,
    cell: (source, target) => {
      const found = ways.get(`${source.id}>${target.id}`);
      return found === undefined ? undefined : cellOf(fence, source, target, found);
    },
  };
}

function cellOf(fence: Fence, source: Side, target: Side, ways: Fence["ways"]): Cell {
  const told = ways.flatMap((way) => {
    const [from, to] = [fence.parties[way.source], fence.parties[way.target]];
    if (from === undefined || to === undefined) return [];
    return [{ source: from, target: to, allowed: showOpenings(way.allowed), policies: way.policies }];
  });
  const openings = [...new Set(told.map((way) => way.allowed))].sort();
  const possible = pairsSharingANetwork(fence, source, target);
  return { openings, whole: openings.length === 1 && told.length === possible, ways: told };
}

/** How many pairs of parties of the two sides could talk if a policy let them. */
function pairsSharingANetwork(fence: Fence, source: Side, target: Side): number {
  const of = (side: Side) => fence.parties.filter((party) => sideId(party) === side.id);
  let pairs = 0;
  for (const from of of(source)) {
    for (const to of of(target)) {
      const alone = from === to && from.vms < 2;
      if (!alone && from.networks.some((network) => to.networks.includes(network))) pairs += 1;
    }
  }
  return pairs;
}

export function showOpenings(openings: readonly Opening[]): string {
  return openings.length === 0 ? "nothing" : openings.map((one) => opening(one.protocol, one.ports)).join(", ");
}

/** A party as a person would say it: `4 VMs of shop in red with role=web`. */
export function showParty(party: Party): string {
  const labels = showLabels(party.labels);
  return `${count(party.vms, "VM")} of ${party.project} in ${party.zone}${labels && ` with ${labels}`}`;
}

export function showSelector(selector: Selector): string {
  if (selector.elsewhere) return "in a project you do not see";
  const parts = [
    selector.zone && `zone ${selector.zone}`,
    selector.project && `project ${selector.project}`,
    showLabels(selector.labels),
  ];
  return parts.filter(Boolean).join(", ");
}

/** What a change would do, in one line. */
export function showEffect(told: Pick<Schemas["FenceChangeTold"], "opens" | "closes">): string {
  if (told.opens === 0 && told.closes === 0) return "Changes nothing for the VMs that there are now.";
  const opens = told.opens > 0 ? `Opens ${count(told.opens, "pair")} of VMs` : "Opens nothing";
  const closes = told.closes > 0 ? `closes ${count(told.closes, "pair")}` : "closes nothing";
  return `${opens}, ${closes}.`;
}
