/** Keeps what is shown up to date: the controller tells which kinds changed, and what shows them is asked for again. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { signedInBy, signedOut } from "../session";
import { EventReader } from "./events";

const CUSTODY = "/v1/vms/{vm_id}/custody";

/** Where each kind of thing is shown. */
const SHOWN_AT: Record<string, readonly string[]> = {
  vm: ["/v1/vms", "/v1/overview", "/v1/fence", "/v1/placements"],
  host: ["/v1/hosts", "/v1/overview", "/v1/placements"],
  zone: ["/v1/zones", "/v1/overview", "/v1/fence", "/v1/vms", "/v1/policies", "/v1/placements"],
  project: ["/v1/projects", "/v1/session", "/v1/fence", "/v1/vms", "/v1/policies"],
  policy: ["/v1/policies", "/v1/fence"],
  operation: ["/v1/operations"],
  image: ["/v1/images"],
  network: ["/v1/networks", "/v1/fence"],
  flavor: ["/v1/flavors", "/v1/placements"],
  account: ["/v1/accounts", "/v1/session"],
  member: ["/v1/projects", "/v1/session"],
  session: ["/v1/account/sessions"],
  token: ["/v1/tokens"],
  passkey: ["/v1/account/passkeys"],
  entry: ["/v1/ledger", CUSTODY],
  ledger: ["/v1/ledger", CUSTODY],
};

const AGAIN_MS_LEAST = 1000;
const AGAIN_MS_MOST = 15_000;

/** Tell whether a query shows one of these kinds. Keys are `[method, path, …]`; a kind not known here is shown anywhere. */
export function shows(kinds: readonly string[], key: readonly unknown[]): boolean {
  const path = String(key[1] ?? "");
  return kinds.some((kind) => (SHOWN_AT[kind] ?? ["/v1"]).some((prefix) => path.startsWith(prefix)));
}

export type Liveness = "live" | "connecting" | "away";

/**
 * Ask again for what shows these kinds. What is being asked for just now may have been read before the change: it is
 * asked for once more when it has come, since a first answer under way is otherwise taken for the newest.
 */
export function askAgain(client: QueryClient, kinds: readonly string[]): void {
  for (const query of client.getQueryCache().findAll({ predicate: (each) => shows(kinds, each.queryKey) })) {
    const again = () => client.invalidateQueries({ queryKey: query.queryKey, exact: true });
    if (query.state.data === undefined && query.promise) void query.promise.then(again, again);
    else void again();
  }
}

/** Follow the controller's changes while the page is open; tells whether the line is up. */
export function useLive(): Liveness {
  const client = useQueryClient();
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  useEffect(() => {
    const ending = new AbortController();
    void followForever(client, setLiveness, ending.signal);
    return () => ending.abort();
  }, [client]);
  return liveness;
}

async function followForever(client: QueryClient, tell: (now: Liveness) => void, ending: AbortSignal): Promise<void> {
  let waitMs = AGAIN_MS_LEAST;
  while (!ending.aborted) {
    try {
      await follow(client, ending, () => {
        waitMs = AGAIN_MS_LEAST;
        tell("live");
      });
    } catch {
      // Whatever broke the line, the next turn tries again.
    }
    if (ending.aborted) return;
    tell("away");
    await new Promise((resolve) => setTimeout(resolve, waitMs * (0.5 + Math.random())));
    waitMs = Math.min(waitMs * 2, AGAIN_MS_MOST);
  }
}

async function follow(client: QueryClient, ending: AbortSignal, connected: () => void): Promise<void> {
  const answer = await fetch("/v1/events", { headers: signedInBy(), signal: ending });
  if (answer.status === 401) signedOut();
  if (!answer.ok || answer.body === null) return;
  connected();
  // What changed while nobody listened was not told.
  void client.invalidateQueries();
  const reader = new EventReader();
  const bytes = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await bytes.read();
    if (done) return;
    for (const event of reader.read(value)) {
      if (event.event !== "changed") continue;
      askAgain(client, JSON.parse(event.data) as string[]);
    }
  }
}
