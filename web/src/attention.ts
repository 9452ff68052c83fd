/** What needs somebody, worst first, each with what to do and where. */
import type { Operation, Schemas } from "./api/client";
import { ago, words } from "./format";
import { findingsOf, PROMISES, verdictOf } from "./promises";

export interface Attention {
  state: "broken" | "failed" | "silent" | "unknown" | "quarantined" | "cordoned";
  what: string;
  name: string;
  todo: string;
  to: string;
}

interface Seen {
  overview: Schemas["OverviewTold"];
  verification: Operation | undefined;
  last: Operation | undefined;
  failed: readonly Operation[];
  nowMs: number;
}

const DAY_MS = 86_400_000;

export function needsAttention({ overview, verification, last, failed, nowMs }: Seen): Attention[] {
  return [
    ...promises(verification),
    ...overview.unreachable.map((name): Attention => ({
      state: "silent",
      what: "Silent",
      name: `Host ${name}`,
      todo: "Its agent has not been heard of. See that it runs and reaches the controller.",
      to: "/hosts",
    })),
    ...quarantined(overview),
    ...failed.filter((one) => nowMs - Date.parse(one.created_at) < DAY_MS).map((one) => failure(one, nowMs)),
    ...unverified(verification, last, nowMs),
    ...(overview.hosts["cordoned"] ? [cordoned(overview.hosts["cordoned"])] : []),
  ];
}

function promises(verification: Operation | undefined): Attention[] {
  const findings = findingsOf(verification);
  return PROMISES.flatMap((promise): Attention[] => {
    const verdict = verdictOf(findings.filter((finding) => finding.promise === promise.number));
    if (findings.length === 0 || (verdict !== "broken" && verdict !== "unknown")) return [];
    const todo = verdict === "broken" ? "See the evidence, and act now." : "Something could not be looked at.";
    const to = `/promises#promise-${promise.number}`;
    return [{ state: verdict, what: verdict === "broken" ? "Broken" : "Unknown", name: `Promise ${promise.number}, ${promise.name}`, todo, to }];
  });
}

function quarantined(overview: Schemas["OverviewTold"]): Attention[] {
  const vms = overview.vms["quarantined"] ?? 0;
  if (vms === 0) return [];
  const todo = "Where they stand is not certain. See their last operations, then delete or start them.";
  return [{ state: "quarantined", what: "Quarantined", name: vms === 1 ? "1 VM" : `${vms} VMs`, todo, to: "/vms?state=quarantined" }];
}

function failure(one: Operation, nowMs: number): Attention {
  const todo = one.error?.message ?? `Failed ${ago(one.created_at, nowMs)}.`;
  return { state: "failed", what: "Failed", name: `${words(one.kind)}: ${one.subject_name}`, todo, to: `/operations/${one.id}` };
}

function unverified(verification: Operation | undefined, last: Operation | undefined, nowMs: number): Attention[] {
  const at = verification?.ended_at;
  if (at && nowMs - Date.parse(at) < DAY_MS) return [];
  if (last !== undefined && last.ended_at === null) return [];
  const name = at ? `Last verified ${ago(at, nowMs)}` : "Never verified";
  return [{ state: "unknown", what: "Promises", name, todo: "Run a verification, and look at its evidence.", to: "/promises" }];
}

function cordoned(hosts: number): Attention {
  const name = hosts === 1 ? "1 host" : `${hosts} hosts`;
  return { state: "cordoned", what: "Cordoned", name, todo: "No VM is placed there. Uncordon when the work is done.", to: "/hosts" };
}
