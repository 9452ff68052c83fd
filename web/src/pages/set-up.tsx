/** Set-up: by a link that serves once, a person chooses a password. The link's secret stands behind the `#`, which no server sees. */
import { ActionGroup, Button, Form, LoginPage } from "@patternfly/react-core";
import { useEffect, useState } from "react";
import { useNavigate } from "react-router";

import { api } from "../api/client";
import { TextField } from "../parts/fields";
import { Loaded } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { setUp } from "../signing-in";
import { useAttempt } from "./sign-in";

export function SetUpPage() {
  const [secret] = useState(() => location.hash.slice(1));
  const [account, setAccount] = useState("");
  const [displayName, setDisplayName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const go = useNavigate();
  const asked = api.useQuery("get", "/v1/setup");
  const first = asked.data?.needed === true;
  useEffect(() => {
    document.title = "Set up · ringfence";
    // SAFETY: what the address bar and the history show, others may see later.
    history.replaceState(null, "", "/setup");
  }, []);
  const { busy, problem, submit } = useAttempt(async () => {
    const refused = await setUp({ secret, account: account.trim() || null, displayName: displayName.trim(), password });
    if (refused === null) void go("/", { replace: true });
    return refused;
  });
  const differ = again !== "" && again !== password;
  const ready = secret !== "" && password !== "" && password === again;
  return (
    <LoginPage
      loginTitle={first ? "Set up your account" : "Choose your password"}
      loginSubtitle={secret === "" ? "This address lacks the link's secret: open the whole link." : "The link serves once."}
      brandImgSrc="/brand.svg"
      brandImgAlt="ringfence"
      textContent="A private cloud that keeps its tenants apart, and can prove it."
    >
      {/* SAFETY: no field comes later and takes the focus: a password would be typed where it can be read. */}
      <Loaded of={asked}>
        {() => (
          <Form onSubmit={submit}>
            {problem !== null && <ProblemAlert error={problem} />}
            {first && (
              <>
                <TextField
                  label="Account"
                  value={account}
                  onChange={setAccount}
                  autoFocus
                  complete="username"
                  help="The name you want to have as the first administrator. Leave it empty if somebody made the link for you."
                />
                <TextField label="Your name" value={displayName} onChange={setDisplayName} complete="name" />
              </>
            )}
            <TextField label="Password" type="password" value={password} onChange={setPassword} required complete="new-password" />
            <TextField
              label="The password again"
              type="password"
              value={again}
              onChange={setAgain}
              required
              complete="new-password"
              wrong={differ && "They differ."}
            />
            <ActionGroup>
              <Button type="submit" isBlock isLoading={busy} isDisabled={!ready || busy}>
                Set up
              </Button>
            </ActionGroup>
          </Form>
        )}
      </Loaded>
    </LoginPage>
  );
}
