/** Who is signed in, in this tab: an API token, kept until the tab closes. See decision 39. */
import { useSyncExternalStore } from "react";

const KEY = "ringfence.token";
const listeners = new Set<() => void>();

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** The headers that say who asks. */
export function signedInBy(): Record<string, string> {
  const secret = token();
  return secret === null ? {} : { Authorization: `Bearer ${secret}` };
}

/** What a WebSocket, which can carry no headers of ours, is offered instead. */
export function socketProtocols(protocol: string): string[] {
  const secret = token();
  return secret === null ? [protocol] : [protocol, `ringfence.token.${secret}`];
}

export function signIn(secret: string): void {
  sessionStorage.setItem(KEY, secret);
  listeners.forEach((tell) => tell());
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  listeners.forEach((tell) => tell());
}

export function useSignedIn(): boolean {
  return useSyncExternalStore(subscribe, () => token() !== null);
}

function subscribe(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}
