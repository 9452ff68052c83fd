/** Signing in: by the organisation's own sign-on, a passkey, a password, which leaves this page sealed only, or a token. */
import { ActionGroup, Button, Divider, Form, LoginMainFooterBandItem, LoginPage } from "@patternfly/react-core";
import { type FormEvent, useEffect, useState } from "react";

import { api, type Problem } from "../api/client";
import { TextField } from "../parts/fields";
import { ProblemAlert } from "../parts/problems";
import { hasPasskeys, signInWithPasskey } from "../passkeys";
import { signInWithPassword, signInWithToken } from "../signing-in";

export function SignInPage() {
  const [byToken, setByToken] = useState(false);
  const setup = api.useQuery("get", "/v1/setup").data;
  useEffect(() => {
    document.title = "Sign in · ringfence";
  }, []);
  return (
    <LoginPage
      loginTitle="Sign in"
      loginSubtitle={
        setup?.needed
          ? "Nobody has an account yet: open the set-up link that the controller printed when it first started."
          : "To your cloud."
      }
      brandImgSrc="/brand.svg"
      brandImgAlt="ringfence"
      textContent="A private cloud that keeps its tenants apart, and can prove it."
      signUpForAccountMessage={
        <LoginMainFooterBandItem>
          <Button variant="link" isInline onClick={() => setByToken(!byToken)}>
            {byToken ? "Sign in with a password" : "Sign in with an API token"}
          </Button>
        </LoginMainFooterBandItem>
      }
    >
      {byToken ? (
        <ByToken />
      ) : (
        <>
          <SentBack />
          <ByPassword />
          <OtherWays />
        </>
      )}
    </LoginPage>
  );
}

/** Runs what signs in; busy meanwhile, and tells what went wrong. */
export function useAttempt(attempt: () => Promise<Problem | null>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    void attempt()
      .then(setProblem, setProblem)
      .finally(() => setBusy(false));
  };
  return { busy, problem, submit };
}

/** Why the organisation's sign-on sent somebody back: its code stands behind the `#`. */
function SentBack() {
  const [code] = useState(() => location.hash.slice(1));
  useEffect(() => {
    if (code !== "") history.replaceState(history.state, "", "/login");
  }, [code]);
  if (!/^[a-z-]+$/.test(code)) return null;
  const problem: Problem = {
    type: "about:blank",
    title: "Not signed in",
    status: 401,
    detail: "Your organisation's sign-on did not let you in here.",
    code,
    family: "refused",
    remedy: "Try again. If it stays so, an administrator finds the reason in the ledger.",
    facts: {},
  };
  return <ProblemAlert error={problem} />;
}

function ByPassword() {
  const [account, setAccount] = useState("");
  const [password, setPassword] = useState("");
  const { busy, problem, submit } = useAttempt(() => signInWithPassword(account.trim(), password));
  return (
    <Form onSubmit={submit}>
      {problem !== null && <ProblemAlert error={problem} />}
      <TextField label="Account" value={account} onChange={setAccount} required autoFocus complete="username" />
      <TextField
        label="Password"
        type="password"
        value={password}
        onChange={setPassword}
        required
        complete="current-password"
      />
      <Submit busy={busy} ready={account.trim() !== "" && password !== ""} />
    </Form>
  );
}

/** What this controller and this browser have besides. */
function OtherWays() {
  const about = api.useQuery("get", "/v1/about").data;
  const byPasskey = about?.passkeys === true && hasPasskeys();
  if (!byPasskey && about?.provider !== true) return null;
  return (
    <div className="rf-stack rf-apart">
      <Divider />
      {byPasskey && <ByPasskey />}
      {about?.provider === true && (
        <Button variant="secondary" isBlock component="a" href="/v1/session/oidc">
          Sign in with your organisation
        </Button>
      )}
    </div>
  );
}

function ByPasskey() {
  const { busy, problem, submit } = useAttempt(signInWithPasskey);
  return (
    <>
      {problem !== null && <ProblemAlert error={problem} />}
      <Button variant="secondary" isBlock isLoading={busy} isDisabled={busy} onClick={submit}>
        Sign in with a passkey
      </Button>
    </>
  );
}

function ByToken() {
  const [secret, setSecret] = useState("");
  const { busy, problem, submit } = useAttempt(() => signInWithToken(secret.trim()));
  return (
    <Form onSubmit={submit}>
      {problem !== null && <ProblemAlert error={problem} />}
      <TextField
        label="API token"
        type="password"
        value={secret}
        onChange={setSecret}
        required
        autoFocus
        help="It stays in this tab, and is forgotten when you close it."
      />
      <Submit busy={busy} ready={secret.trim() !== ""} />
    </Form>
  );
}

function Submit({ busy, ready }: { busy: boolean; ready: boolean }) {
  return (
    <ActionGroup>
      <Button type="submit" isBlock isLoading={busy} isDisabled={!ready || busy}>
        Sign in
      </Button>
    </ActionGroup>
  );
}
