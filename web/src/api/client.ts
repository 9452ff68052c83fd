/** The one way to the API: who asks, and errors as the problem documents that they are. */
import createFetchClient, { type Middleware } from "openapi-fetch";
import createClient from "openapi-react-query";

import type { components, paths } from "./schema";
import { signedInBy, signedOut } from "../session";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type Vm = Schemas["VmTold"];
export type Host = Schemas["HostTold"];
export type Account = Schemas["AccountTold"];
export type Zone = Schemas["ZoneTold"];
export type Project = Schemas["ProjectTold"];
export type Flavor = Schemas["FlavorTold"];
export type Image = Schemas["ImageTold"];
export type Network = Schemas["NetworkTold"];
export type Policy = Schemas["PolicyTold"];
export type Operation = Schemas["OperationTold"];

const CONTROLLER_AWAY: Problem = {
  type: "about:blank",
  title: "Controller away",
  status: 503,
  detail: "The controller does not answer.",
  code: "controller-away",
  family: "unreachable",
  remedy: "See that it runs and that your network leads to it; this page goes on by itself once it answers.",
  facts: {},
};

/** Build the problem that stands for anything thrown: a problem document as it came, or that nothing came at all. */
export function problemOf(thrown: unknown): Problem {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "detail" in thrown) {
    return thrown as Problem;
  }
  if (thrown instanceof TypeError) {
    return CONTROLLER_AWAY;
  }
  return { ...CONTROLLER_AWAY, code: "unreadable", title: "Unreadable answer", detail: String(thrown) };
}

const SIGNING_IN = ["/v1/session", "/v1/session/key", "/v1/session/passkey", "/v1/setup", "/v1/account/password"];

const identity: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(signedInBy(request.method))) {
      if (!request.headers.has(name)) request.headers.set(name, value);
    }
    return request;
  },
  onResponse({ response, schemaPath }) {
    // A wrong password is refused with 401, too: that signs nobody out.
    if (response.status === 401 && !SIGNING_IN.includes(schemaPath)) signedOut();
  },
};

export const http = createFetchClient<paths>({ baseUrl: "/" });
http.use(identity);

export const api = createClient(http);

/** The version of what was read, for a change of it. */
export function ifMatch(of: { revision: number }): { "if-match": string } {
  return { "if-match": `"${of.revision}"` };
}

/** The header that says why, which the ledger keeps: UTF-8, octet by octet, since fetch takes no other letters there. */
export function because(reason: string): Record<string, string> {
  return reason === "" ? {} : { "Ringfence-Reason": String.fromCharCode(...new TextEncoder().encode(reason)) };
}
