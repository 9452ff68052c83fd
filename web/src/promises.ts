/** The seven promises, and what the last verification found of each. */
import { api, type Operation } from "./api/client";

export const PROMISES = [
  { number: 1, name: "Fence", says: "No packet passes between two VMs unless a policy allows it." },
  { number: 2, name: "Company", says: "No host ever runs VMs of zones that do not mix." },
  { number: 3, name: "Clearance", says: "Nothing is given to a VM that still holds another owner's data." },
  { number: 4, name: "Custody", says: "Every VM has a named owner at every moment of its life." },
  { number: 5, name: "Silence", says: "To guests a host does not exist; to others it listens on nothing." },
  { number: 6, name: "Secrets", says: "A password lives in memory only while it is used." },
  { number: 7, name: "Whole or nothing", says: "An operation completes, or is rolled back." },
] as const;

export type Verdict = "kept" | "broken" | "unknown" | "pending";

export interface Finding {
  promise: number;
  question: string;
  verdict: Verdict;
  seen: string;
  items: string[];
}

const WORST_FIRST: readonly Verdict[] = ["broken", "unknown", "kept", "pending"];

/** A promise is as good as its worst finding; one of which nothing was seen is unknown. Pending alone stays pending. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  return WORST_FIRST.find((verdict) => findings.some((finding) => finding.verdict === verdict)) ?? "unknown";
}

/** The findings a verification ended with; what has another form, as of an older controller, is left out. */
export function findingsOf(operation: Pick<Operation, "result"> | undefined): Finding[] {
  const found = operation?.result["findings"];
  return Array.isArray(found) ? found.filter(isFinding) : [];
}

function isFinding(found: unknown): found is Finding {
  return typeof found === "object" && found !== null && "promise" in found && "verdict" in found && "seen" in found;
}

/** The newest verification, and the newest that has ended well and so holds evidence. */
export function useVerifications() {
  const newest = { limit: 1, kind: "verify" } as const;
  const last = api.useQuery("get", "/v1/operations", { params: { query: newest } });
  const done = api.useQuery("get", "/v1/operations", { params: { query: { ...newest, state: "done" } } });
  return { last: last.data?.items[0], evidence: done.data?.items[0], loaded: done.data !== undefined, error: done.error };
}
