import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, test, vi } from "vitest";

import { EventReader } from "./events";
import { askAgain, shows } from "./live";

test("events are whole however they were cut on the way", () => {
  const stream = ': here\n\nevent: changed\ndata: ["vm"]\n\n: still here\n\nevent: changed\ndata: ["host"]\n\n';
  for (let cut = 1; cut < stream.length; cut += 1) {
    const reader = new EventReader();
    const told = [...reader.read(stream.slice(0, cut)), ...reader.read(stream.slice(cut))];
    expect(told).toEqual([
      { event: "changed", data: '["vm"]' },
      { event: "changed", data: '["host"]' },
    ]);
  }
});

test("what shows a kind is asked for again, and nothing else", () => {
  expect(shows(["vm"], ["get", "/v1/vms/{vm_id}", {}])).toBe(true);
  expect(shows(["vm"], ["get", "/v1/overview"])).toBe(true);
  expect(shows(["vm"], ["get", "/v1/images"])).toBe(false);
  expect(shows(["image", "network"], ["get", "/v1/fence"])).toBe(true);
});

test("a kind that this page does not know yet might be shown anywhere", () => {
  expect(shows(["sighting"], ["get", "/v1/images"])).toBe(true);
});

test("a first answer that was under way when something changed is asked for once more", async () => {
  const client = new QueryClient();
  const answers: ((value: string) => void)[] = [];
  const seen: unknown[] = [];
  const observer = new QueryObserver(client, {
    queryKey: ["get", "/v1/policies"],
    queryFn: () => new Promise<string>((resolve) => answers.push(resolve)),
  });
  const leave = observer.subscribe(({ data }) => seen.push(data));
  askAgain(client, ["policy"]);
  expect(answers).toHaveLength(1);
  answers[0]?.("before");
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.("after");
  await vi.waitFor(() => expect(seen.at(-1)).toBe("after"));
  leave();
});
