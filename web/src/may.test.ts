import { expect, test } from "vitest";

import { mayOf } from "./may";

const SHOP = { id: "s", name: "shop", role: "project-member", permissions: ["vm:read", "vm:create"] };

test("while it is not known who asks, nothing is offered", () => {
  expect(mayOf(undefined).somewhere("vm:read")).toBe(false);
});

test("what is permitted in one project is permitted in no other, nor in the cloud", () => {
  const may = mayOf({ permissions: [], projects: [SHOP] });
  expect(may.within("s", "vm:create")).toBe(true);
  expect(may.within("other", "vm:create")).toBe(false);
  expect(may.within(null, "vm:create")).toBe(false);
  expect(may.cloud("vm:create")).toBe(false);
  expect(may.somewhere("vm:create")).toBe(true);
  expect(may.somewhere("vm:delete")).toBe(false);
});

test("what is permitted in the cloud is permitted in every project", () => {
  const may = mayOf({ permissions: ["zone:manage"], projects: [] });
  expect(may.within("any", "zone:manage")).toBe(true);
  expect(may.within(null, "zone:manage")).toBe(true);
});
