import { expect, test } from "vitest";

import type { Schemas } from "./api/client";
import { matrixOf, showEffect, showOpenings, showParty, showSelector } from "./fence";
import { pictureOf } from "./picture";

function party(zone: string, project: string, vms: number, labels: Record<string, string> = {}, network = "net"): Schemas["PartyTold"] {
  return { zone, zone_id: `id-${zone}`, project, project_id: `id-${project}`, labels, networks: [network], vms, some: [] };
}

const FENCE: Schemas["FenceTold"] = {
  parties: [
    party("red", "shop", 2, { role: "web" }),
    party("red", "shop", 1, { role: "db" }),
    party("blue", "intranet", 3),
    party("blue", "intranet", 1, {}, "island"),
  ],
  ways: [
    { source: 0, target: 1, allowed: [{ protocol: "tcp", ports: [5432] }], policies: ["web-to-db"] },
    { source: 2, target: 0, allowed: [{ protocol: "tcp", ports: [80] }], policies: ["to-web"] },
    { source: 2, target: 1, allowed: [{ protocol: "tcp", ports: [80] }], policies: ["to-web"] },
  ],
  complete: true,
};

test("parties of one zone and project are one side of the matrix", () => {
  const { sides } = matrixOf(FENCE);
  expect(sides.map((side) => [side.zone, side.project, side.vms])).toEqual([
    ["blue", "intranet", 4],
    ["red", "shop", 3],
  ]);
});

test("a cell says whether all VMs may, or only some", () => {
  const { sides, cell } = matrixOf(FENCE);
  const [blue, red] = sides;
  if (blue === undefined || red === undefined) throw new Error("two sides");
  expect(cell(red, red)).toMatchObject({ openings: ["tcp 5432"], whole: false });
  // Those on an island cannot reach anybody whatever policy says, and are not counted against it.
  expect(cell(blue, red)).toMatchObject({ openings: ["tcp 80"], whole: true });
  expect(cell(red, blue)).toBeUndefined();
});

test("the picture draws each side once, in its zone, and each pair by one arrow", () => {
  const { circles, frames, arrows } = pictureOf(matrixOf(FENCE));
  expect(circles.map((circle) => circle.side.project)).toEqual(["intranet", "shop"]);
  expect(frames.flatMap((frame) => frame.members)).toEqual(circles.map((circle) => circle.side.id));
  expect(arrows).toMatchObject([{ text: "tcp 80", there: true, back: false }]);
  expect(new Set(circles.map(({ place }) => `${place.x},${place.y}`)).size).toBe(2);
});

test("no arrow of four zones with a project each passes through a project that it is not for", () => {
  const zones = ["a", "b", "c", "d"];
  const pairs = zones.flatMap((_, source) => zones.map((_, target) => ({ source, target }))).filter((pair) => pair.source < pair.target);
  const ways = pairs.map((pair) => ({ ...pair, allowed: [{ protocol: "tcp" as const, ports: [1] }], policies: ["p"] }));
  const { circles, arrows } = pictureOf(matrixOf({ parties: zones.map((zone) => party(zone, "p", 1)), ways, complete: true }));
  const placeOf = (id: string) => circles.find(({ side }) => side.id === id)?.place ?? { x: NaN, y: NaN };
  expect(arrows).toHaveLength(6);
  const struck = arrows.flatMap(({ from, to }) => {
    const [one, other] = [placeOf(from), placeOf(to)];
    return circles
      .filter(({ side, place }) => side.id !== from && side.id !== to && (place.x - one.x) * (place.x - other.x) < 0)
      .map(({ place }) => one.y + ((other.y - one.y) * (place.x - one.x)) / (other.x - one.x) - place.y)
      // A circle reaches 32 up from its middle, and with its names 85 down.
      .filter((below) => below > -40 && below < 90);
  });
  expect(struck).toEqual([]);
});

test("what is said of a change, of parties and of selectors", () => {
  expect(showEffect({ opens: 0, closes: 0 })).toContain("Changes nothing");
  expect(showEffect({ opens: 1, closes: 0 })).toBe("Opens 1 pair of VMs, closes nothing.");
  expect(showEffect({ opens: 0, closes: 2 })).toBe("Opens nothing, closes 2 pairs.");
  expect(showOpenings([])).toBe("nothing");
  expect(showParty(party("red", "shop", 1, { role: "db" }))).toBe("1 VM of shop in red with role=db");
  const nothing = { zone: null, zone_id: null, project: null, project_id: null, labels: {} };
  expect(showSelector({ ...nothing, zone: "red", zone_id: "z", labels: { a: "b" }, elsewhere: false })).toBe("zone red, a=b");
  expect(showSelector({ ...nothing, elsewhere: true })).toBe("in a project you do not see");
});
