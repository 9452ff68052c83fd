import { expect, test } from "vitest";

import { differences } from "./ledger";

test("only what changed is told, and an empty value is told as none", () => {
  const before = { name: "red", colour: "", mixes: ["a"], revision: 1 };
  const after = { name: "red", colour: null, mixes: ["a", "b"], revision: 2 };
  expect(differences(before, after)).toEqual([
    { column: "mixes", before: '["a"]', after: '["a","b"]' },
    { column: "revision", before: "1", after: "2" },
  ]);
});

test("of what came all is told, and of what went", () => {
  expect(differences(null, { name: "red" })).toEqual([{ column: "name", before: "–", after: "red" }]);
  expect(differences({ name: "red" }, null)).toEqual([{ column: "name", before: "red", after: "–" }]);
});
