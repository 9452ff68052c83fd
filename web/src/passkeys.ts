/** Passkeys: the browser asks the authenticator, and the controller judges what it answers. */
import { http, type Problem, type Schemas } from "./api/client";
import { signedInWithSession } from "./session";

type Asking = Schemas["Asking"];

/** Whether this browser has passkeys at all; on a page without TLS it has none. */
export function hasPasskeys(): boolean {
  return typeof globalThis.PublicKeyCredential === "function";
}

/** Throws a problem if nobody answers, or the browser has no such passkey. */
export async function addPasskey(name: string): Promise<void> {
  const asked = await http.POST("/v1/account/passkeys/options");
  if (asked.error !== undefined) throw asked.error;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked.data.options as never);
  const credential = answerOf(await given(navigator.credentials.create({ publicKey })));
  const { error } = await http.POST("/v1/account/passkeys", {
    body: { name, challenge_id: asked.data.challenge_id, credential },
  });
  if (error !== undefined) throw error;
}

export async function signInWithPasskey(): Promise<Problem | null> {
  const asked = await http.POST("/v1/session/passkey/options");
  return asked.error ?? answerWithPasskey(asked.data);
}

/** Signs in by the passkey that was asked for, alone or after the password. */
export async function answerWithPasskey({ challenge_id, options }: Asking): Promise<Problem | null> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options as never);
  const credential = answerOf(await given(navigator.credentials.get({ publicKey })));
  const { data, error } = await http.POST("/v1/session/passkey", { body: { challenge_id, credential } });
  if (error !== undefined) return error;
  signedInWithSession(data.csrf_token ?? null);
  return null;
}

const NOT_GIVEN: Problem = {
  type: "about:blank",
  title: "No passkey",
  status: 0,
  detail: "No passkey was given.",
  code: "passkey-not-given",
  family: "refused",
  remedy: "Begin again, and confirm when the browser asks. It offers those only that belong to this address.",
  facts: {},
};

async function given(asked: Promise<Credential | null>): Promise<PublicKeyCredential> {
  const credential = await asked.catch((refused: unknown) => {
    if (refused instanceof DOMException) return null;
    throw refused;
  });
  if (!(credential instanceof PublicKeyCredential)) throw NOT_GIVEN;
  return credential;
}

function answerOf(credential: PublicKeyCredential): Record<string, unknown> {
  return credential.toJSON() as Record<string, unknown>;
}
