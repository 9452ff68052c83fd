import { describe, expect, test } from "vitest";

import { instant, ago, bytes, count, lasting, mib, opening, parseLabels, parsePorts, percent, showLabels, words } from "./format";

const NOW = Date.parse("2026-05-01T12:00:00Z");

describe("sizes", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [10 * 2 ** 30, "10 GiB"],
    [2 ** 70, "1048576 PiB"],
  ])("%d bytes are %s", (size, shown) => expect(bytes(size)).toBe(shown));

  test("MiB grow into larger units", () => expect(mib(32_768)).toBe("32 GiB"));

  test("a part of nothing is nothing, and no bar is overfull", () => {
    expect(percent(5, 0)).toBe(0);
    expect(percent(9, 6)).toBe(100);
  });
});

describe("times", () => {
  test.each([
    ["2026-05-01T11:59:58Z", "just now"],
    ["2026-05-01T11:59:30Z", "30 s ago"],
    ["2026-05-01T11:01:00Z", "59 min ago"],
    ["2026-04-30T13:00:00Z", "23 h ago"],
    ["2026-04-29T12:00:00Z", "2 days ago"],
    ["2026-05-01T12:00:09Z", "just now"],
  ])("%s was %s", (then, shown) => expect(ago(then, NOW)).toBe(shown));

  test("what goes on lasts until now", () => {
    expect(lasting("2026-05-01T11:58:30Z", null, NOW)).toBe("1 min 30 s");
    expect(lasting("2026-05-01T11:58:30Z", "2026-05-01T11:58:30.250Z", NOW)).toBe("0.3 s");
  });
});

describe("what is typed", () => {
  test("labels are pairs apart by commas or lines, and a value may hold an equals sign", () => {
    expect(parseLabels("role=web, tier = gold\nx=a=b\n")).toEqual({ role: "web", tier: "gold", x: "a=b" });
    expect(parseLabels("")).toEqual({});
    expect(parseLabels("role")).toBeNull();
    expect(parseLabels("=web")).toBeNull();
  });

  test("labels that are shown can be typed again", () => {
    const labels = { role: "web", tier: "gold" };
    expect(parseLabels(showLabels(labels))).toEqual(labels);
  });

  test.each([["80, 443"], ["80 443"], ["80,443,"]])("ports %s are two", (text) =>
    expect(parsePorts(text)).toEqual([80, 443]),
  );

  test.each([["0"], ["65536"], ["ssh"], ["1.5"], ["-1"]])("%s is no port", (text) => expect(parsePorts(text)).toBeNull());
});

test("a field for local time holds an instant, or none", () => {
  const then = instant("2026-01-31T12:00:00");
  expect(then).toBe(new Date(2026, 0, 31, 12, 0, 0).toISOString());
  expect(instant("")).toBeNull();
});

test("words are read, not codes", () => {
  expect(words("rolling-back")).toBe("Rolling back");
  expect(words("create-vm")).toBe("Create VM");
  expect(count(1, "VM")).toBe("1 VM");
  expect(count(12_000, "VM")).toBe("12,000 VMs");
  expect(opening("any", [])).toBe("anything");
  expect(opening("tcp", [22, 80])).toBe("tcp 22, 80");
});
