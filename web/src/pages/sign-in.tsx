/** Signing in: with a password, which leaves this page sealed only, or with an API token. */
import { ActionGroup, Button, Form, LoginMainFooterBandItem, LoginPage } from "@patternfly/react-core";
import { type FormEvent, useEffect, useState } from "react";

import { api, type Problem } from "../api/client";
import { TextField } from "../parts/fields";
import { ProblemAlert } from "../parts/problems";
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
      {byToken ? <ByToken /> : <ByPassword />}
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
