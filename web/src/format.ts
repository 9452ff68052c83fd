/** Numbers, sizes and times as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A size in binary units, with at most one decimal. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${trimmed(value)} ${UNITS[unit]}`;
}

export function mib(count: number): string {
  return bytes(count * 1024 * 1024);
}

function trimmed(value: number): string {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** How long ago, in the largest unit that fits. */
export function ago(then: string, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(then)) / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return count(Math.floor(seconds / 86_400), "day") + " ago";
}

/** From one moment to another; to now if there is no other. */
export function lasting(from: string, to: string | null, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, ((to === null ? nowMs : Date.parse(to)) - Date.parse(from)) / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function moment(then: string): string {
  return new Date(then).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** What a field for local time holds, as an instant for the API; null if it holds none. */
export function instant(local: string): string | null {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

export function percent(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.round((100 * part) / whole)) : 0;
}

/** `rolling-back` as `Rolling back`. */
export function words(code: string): string {
  const spaced = code.replaceAll("-", " ").replaceAll("_", " ").replace(/\bvm\b/, "VM");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** Protocol and ports as one word: `tcp 22, 443`, `icmp`, `anything`. */
export function opening(protocol: string, ports: readonly number[]): string {
  if (protocol === "any") return "anything";
  return ports.length > 0 ? `${protocol} ${ports.join(", ")}` : protocol;
}

/** `key=value` pairs, apart by commas or new lines, as labels; null for what is none. */
export function parseLabels(text: string): Record<string, string> | null {
  const labels: Record<string, string> = {};
  for (const part of text.split(/[,\n]/).map((piece) => piece.trim())) {
    if (part === "") continue;
    const at = part.indexOf("=");
    if (at < 1) return null;
    labels[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return labels;
}

export function showLabels(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}

/** Ports as they are typed: numbers apart by commas or spaces; null for what is none. */
export function parsePorts(text: string): number[] | null {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  const ports = parts.map(Number);
  return ports.every((port) => Number.isInteger(port) && port > 0 && port < 65_536) ? ports : null;
}
