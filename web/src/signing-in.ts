/** Signing in and out, and setting up: each gives null when it is done, else the problem. */
import { http, type Problem, type Schemas } from "./api/client";
import { answerWithPasskey } from "./passkeys";
import { seal } from "./sealing";
import { signedInWithSession, signedInWithToken, signedOut } from "./session";

type Outcome = Promise<Problem | null>;

/** Find out whether a session's cookie is there already. */
export async function resume(): Promise<void> {
  const { data } = await http.GET("/v1/session");
  signedInWithSession(data?.csrf_token ?? null);
}

export async function signInWithPassword(account: string, password: string): Outcome {
  const key = await http.GET("/v1/session/key");
  if (key.error !== undefined) return key.error;
  const sealed = { key_id: key.data.key_id, sealed_password: seal(password, key.data) };
  const { data, error } = await http.POST("/v1/session", { body: { account, ...sealed } });
  if (error?.code === "passkey-needed") return answerWithPasskey(error.facts as Schemas["Asking"]);
  if (error !== undefined) return error;
  signedInWithSession(data.csrf_token ?? null);
  return null;
}

export async function signInWithToken(token: string): Outcome {
  const { error } = await http.GET("/v1/session", { headers: { Authorization: `Bearer ${token}` } });
  if (error !== undefined) return error;
  signedInWithToken(token);
  return null;
}

export async function signOut(): Promise<void> {
  try {
    await http.DELETE("/v1/session");
  } finally {
    signedOut();
  }
}

interface SetUp {
  secret: string;
  account: string | null;
  displayName: string;
  password: string;
}

export async function setUp({ secret, account, displayName, password }: SetUp): Outcome {
  const key = await http.GET("/v1/session/key");
  if (key.error !== undefined) return key.error;
  const { data, error } = await http.POST("/v1/setup", {
    body: {
      account,
      display_name: displayName,
      key_id: key.data.key_id,
      sealed_secret: seal(secret, key.data),
      sealed_password: seal(password, key.data),
    },
  });
  if (error !== undefined) return error;
  signedInWithSession(data.csrf_token ?? null);
  return null;
}

export async function changePassword(current: string, wanted: string): Outcome {
  const key = await http.GET("/v1/session/key");
  if (key.error !== undefined) return key.error;
  const { error } = await http.PUT("/v1/account/password", {
    body: { key_id: key.data.key_id, sealed_current: seal(current, key.data), sealed_new: seal(wanted, key.data) },
  });
  return error ?? null;
}
