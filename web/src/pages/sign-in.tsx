/** Signing in, for now with an API token. */
import { ListItem, List, LoginMainFooterBandItem, LoginPage, Button, Form, ActionGroup } from "@patternfly/react-core";
import { type FormEvent, useEffect, useState } from "react";

import { http, type Problem } from "../api/client";
import { TextField } from "../parts/fields";
import { ProblemAlert } from "../parts/problems";
import { signIn, signOut } from "../session";

export function SignInPage() {
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    document.title = "Sign in · ringfence";
  }, []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    const refused = await tryToken(secret.trim());
    setBusy(false);
    setProblem(refused);
  };
  return (
    <LoginPage
      loginTitle="Sign in"
      loginSubtitle="With an API token. The first one was printed when the controller first started."
      brandImgSrc="/brand.svg"
      brandImgAlt="ringfence"
      textContent="A private cloud that keeps its tenants apart, and can prove it."
      footerListItems={
        <List isPlain>
          <ListItem>The token stays in this tab, and is forgotten when you close it.</ListItem>
        </List>
      }
      signUpForAccountMessage={
        <LoginMainFooterBandItem>
          Looking for the API? It is <a href="/docs">described here</a>.
        </LoginMainFooterBandItem>
      }
    >
      <Form onSubmit={(event) => void submit(event)}>
        {problem !== null && <ProblemAlert error={problem} />}
        <TextField label="API token" type="password" value={secret} onChange={setSecret} required autoFocus />
        <ActionGroup>
          <Button type="submit" isBlock isLoading={busy} isDisabled={secret.trim() === "" || busy}>
            Sign in
          </Button>
        </ActionGroup>
      </Form>
    </LoginPage>
  );
}

/** Sign in if the controller takes the token; else tell why not. */
async function tryToken(secret: string): Promise<Problem | TypeError | null> {
  try {
    const headers = { Authorization: `Bearer ${secret}` };
    const { error } = await http.GET("/v1/overview", { headers });
    if (error !== undefined) {
      signOut();
      return error;
    }
    signIn(secret);
    return null;
  } catch (away) {
    return away instanceof TypeError ? away : new TypeError(String(away));
  }
}
