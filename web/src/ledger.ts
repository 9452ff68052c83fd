/** What an entry of the ledger changed, column by column. */

export interface Difference {
  column: string;
  before: string;
  after: string;
}

/** The columns that differ; all of them for what came or went. */
export function differences(
  before: Record<string, unknown> | null,
  after: Record<string, unknown> | null,
): Difference[] {
  const columns = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].sort();
  return columns
    .map((column) => ({ column, before: shown(before?.[column]), after: shown(after?.[column]) }))
    .filter((one) => one.before !== one.after);
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === "") return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
