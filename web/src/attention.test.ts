import { expect, test } from "vitest";

import type { Operation, Schemas } from "./api/client";
import { needsAttention } from "./attention";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const CAPACITY = { vcpus: 0, memory_mib: 0, disk_bytes: 0 };
const QUIET: Schemas["OverviewTold"] = {
  vms: { running: 3 },
  hosts: { ready: 2 },
  unreachable: [],
  total: CAPACITY,
  claimed: CAPACITY,
  zones: [],
};

function verified(at: string, ...verdicts: string[]): Operation {
  const findings = verdicts.map((verdict, place) => ({ promise: place + 1, question: "?", verdict, seen: "", items: [] }));
  return operation({ kind: "verify", created_at: at, ended_at: at, result: { findings } });
}

function operation(part: Partial<Operation>): Operation {
  return {
    id: "o",
    kind: "create-vm",
    state: "done",
    subject_id: "s",
    subject_name: "web",
    asked: {},
    created_at: "2026-05-01T11:00:00Z",
    ended_at: "2026-05-01T11:00:01Z",
    steps: [],
    result: {},
    error: null,
    version: 1,
    ...part,
  } as Operation;
}

const KEPT = Array.from({ length: 7 }, () => "kept");

test("a quiet cloud that was verified needs nobody", () => {
  const verification = verified("2026-05-01T11:00:00Z", ...KEPT);
  expect(needsAttention({ overview: QUIET, verification, last: verification, failed: [], nowMs: NOW })).toEqual([]);
});

test("the worst comes first", () => {
  const verification = verified("2026-05-01T11:00:00Z", "kept", "broken", ...KEPT.slice(2));
  const overview = { ...QUIET, unreachable: ["h2"], hosts: { ready: 1, cordoned: 1 }, vms: { quarantined: 1 } };
  const failed = [operation({ state: "failed" })];
  const told = needsAttention({ overview, verification, last: verification, failed, nowMs: NOW });
  expect(told.map((one) => one.name)).toEqual([
    "Promise 2, Company",
    "Host h2",
    "1 VM",
    "Create VM: web",
    "1 host",
  ]);
});

test("a promise of which nothing was seen is told as unknown, not passed over", () => {
  const verification = verified("2026-05-01T11:00:00Z", ...KEPT.slice(1));
  const told = needsAttention({ overview: QUIET, verification, last: verification, failed: [], nowMs: NOW });
  expect(told.map((one) => [one.what, one.name])).toEqual([["Unknown", "Promise 7, Whole or nothing"]]);
});

test("evidence of yesterday asks for new, unless that is on its way", () => {
  const verification = verified("2026-04-29T11:00:00Z", ...KEPT);
  const seen = { overview: QUIET, verification, failed: [], nowMs: NOW };
  expect(needsAttention({ ...seen, last: verification }).map((one) => one.name)).toEqual(["Last verified 2 days ago"]);
  const running = operation({ kind: "verify", state: "running", ended_at: null });
  expect(needsAttention({ ...seen, last: running })).toEqual([]);
});

test("what failed last week is history", () => {
  const verification = verified("2026-05-01T11:00:00Z", ...KEPT);
  const failed = [operation({ state: "failed", created_at: "2026-04-20T11:00:00Z" })];
  expect(needsAttention({ overview: QUIET, verification, last: verification, failed, nowMs: NOW })).toEqual([]);
});
