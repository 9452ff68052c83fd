/** Who is signed in: by a session, whose cookie no script can read, or by an API token that this tab keeps. */
import { useSyncExternalStore } from "react";

type State =
  | { kind: "asking" }
  | { kind: "out" }
  | { kind: "token"; token: string }
  | { kind: "session"; csrfToken: string };

const KEY = "ringfence.token";
const listeners = new Set<() => void>();
let state: State = begin();

function begin(): State {
  const token = globalThis.sessionStorage?.getItem(KEY);
  return token ? { kind: "token", token } : { kind: "asking" };
}

function become(next: State): void {
  state = next;
  if (next.kind === "token") sessionStorage.setItem(KEY, next.token);
  else sessionStorage.removeItem(KEY);
  listeners.forEach((tell) => tell());
}

/** Headers that say who asks. A cookie says it by itself; a change made with it carries the CSRF token too. */
export function signedInBy(method = "GET"): Record<string, string> {
  if (state.kind === "token") return { Authorization: `Bearer ${state.token}` };
  return state.kind === "session" && method !== "GET" ? { "X-CSRF-Token": state.csrfToken } : {};
}

/** What a WebSocket, which can carry no headers of ours, is offered instead of a token's. */
export function socketProtocols(protocol: string): string[] {
  return state.kind === "token" ? [protocol, `ringfence.token.${state.token}`] : [protocol];
}

export function signedInWithToken(token: string): void {
  become({ kind: "token", token });
}

/** `csrfToken` null: nobody is signed in, or not by a session. */
export function signedInWithSession(csrfToken: string | null): void {
  become(csrfToken === null ? { kind: "out" } : { kind: "session", csrfToken });
}

/** Forget who was signed in here; the session itself is ended by `DELETE /v1/session`. */
export function signedOut(): void {
  if (state.kind !== "out") become({ kind: "out" });
}

export function useSession(): State["kind"] {
  return useSyncExternalStore(subscribe, () => state.kind);
}

function subscribe(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}
