/** Where everything of the fence's picture is drawn: zones beside one another, their projects in a column. No force moves it. */
import type { Cell, Matrix, Side } from "./fence";

const COLUMNS = 3;
const ZONE_WIDTH = 420;
const PROJECT_HEIGHT = 170;
const ROW_GAP = 320;
const LOWER = 0.65;

export interface Place {
  x: number;
  y: number;
}

export interface Picture {
  circles: readonly { side: Side; place: Place; within: string }[];
  frames: readonly { id: string; name: string; members: readonly string[] }[];
  arrows: readonly { id: string; from: string; to: string; text: string; there: boolean; back: boolean }[];
}

export function pictureOf(matrix: Matrix): Picture {
  const zones = [...new Set(matrix.sides.map((side) => side.zoneId))];
  const places = placed(matrix.sides, zones);
  return {
    circles: matrix.sides.map((side) => ({
      side,
      place: places.get(side.id) ?? { x: 0, y: 0 },
      within: within(matrix, side),
    })),
    frames: zones.map((zone) => {
      const members = matrix.sides.filter((side) => side.zoneId === zone);
      return { id: zone, name: members[0]?.zone ?? "", members: members.map((side) => side.id) };
    }),
    arrows: arrows(matrix),
  };
}

function placed(sides: readonly Side[], zones: readonly string[]): Map<string, Place> {
  const places = new Map<string, Place>();
  let top = 0;
  for (let first = 0; first < zones.length; first += COLUMNS) {
    const row = zones.slice(first, first + COLUMNS);
    const tallest = Math.max(...row.map((zone) => sides.filter((side) => side.zoneId === zone).length));
    row.forEach((zone, column) => {
      const members = sides.filter((side) => side.zoneId === zone);
      members.forEach((side, at) => {
        // Every other column is lower, so that an arrow over it does not pass through it.
        const shift = column % 2 === 1 ? PROJECT_HEIGHT * LOWER : 0;
        places.set(side.id, { x: column * ZONE_WIDTH, y: top + shift + at * PROJECT_HEIGHT });
      });
    });
    top += tallest * PROJECT_HEIGHT + ROW_GAP;
  }
  return places;
}

function within(matrix: Matrix, side: Side): string {
  const cell = matrix.cell(side, side);
  return cell === undefined ? "" : `among themselves: ${cell.openings.join("; ")}`;
}

function arrows(matrix: Matrix): Picture["arrows"] {
  const words = (cell: Cell | undefined) => (cell ? cell.openings.join("; ") + (cell.whole ? "" : " (some VMs)") : "");
  return matrix.sides.flatMap((one, at) =>
    matrix.sides.slice(at + 1).flatMap((other) => {
      const [there, back] = [matrix.cell(one, other), matrix.cell(other, one)];
      if (there === undefined && back === undefined) return [];
      const text = there && back ? `→ ${words(there)} · ← ${words(back)}` : words(there ?? back);
      const ends = { from: one.id, to: other.id, there: there !== undefined, back: back !== undefined };
      return [{ id: `${one.id}-${other.id}`, text, ...ends }];
    }),
  );
}
