/** My account: who I am here and what I may, my sessions, my password. */
import {
  Button,
  Card,
  CardBody,
  CardTitle,
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Grid,
  GridItem,
  Label,
  PageSection,
  Switch,
} from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { type ReactNode, useState } from "react";

import { api, type Problem, type Schemas } from "../api/client";
import { ago, words } from "../format";
import { FormDialog } from "../parts/dialogs";
import { TextField } from "../parts/fields";
import { Labels } from "../parts/labels";
import { Heading, Loaded } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { useSession } from "../session";
import { changePassword, signOut } from "../signing-in";
import { setDark, useDark } from "../theme";

export function AccountPage() {
  const [changing, setChanging] = useState(false);
  const means = useSession();
  const dark = useDark();
  const session = api.useQuery("get", "/v1/session");
  return (
    <>
      <Heading
        title="My account"
        actions={
          <Button variant="secondary" onClick={() => void signOut()}>
            Sign out
          </Button>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Grid hasGutter>
          <GridItem lg={8}>
            <Card isFullHeight>
              <CardTitle component="h2">Who I am here</CardTitle>
              <CardBody>
                <Loaded of={session}>{(told) => <Who told={told} />}</Loaded>
              </CardBody>
            </Card>
          </GridItem>
          <GridItem lg={4}>
            <Card isFullHeight>
              <CardTitle component="h2">Here in this browser</CardTitle>
              <CardBody className="rf-stack">
                <Switch id="dark" label="Dark theme" isChecked={dark} onChange={(_, on) => setDark(on)} />
                {means === "session" ? (
                  <div>
                    <Button variant="secondary" onClick={() => setChanging(true)}>
                      Change my password
                    </Button>
                  </div>
                ) : (
                  <span className="rf-subtle">Signed in with an API token, which this tab forgets when you close it.</span>
                )}
              </CardBody>
            </Card>
          </GridItem>
          <GridItem>
            <Sessions />
          </GridItem>
        </Grid>
      </PageSection>
      {changing && <PasswordDialog onClose={() => setChanging(false)} />}
    </>
  );
}

function Who({ told }: { told: Schemas["SessionTold"] }) {
  const roles = [...told.roles, ...told.projects.map((project) => `${words(project.role)} in ${project.name}`)];
  return (
    <DescriptionList isHorizontal isCompact>
      <Fact name="Account">{told.account.name}</Fact>
      <Fact name="Name">{told.account.display_name || "–"}</Fact>
      <Fact name="Kind">{words(told.account.kind)}</Fact>
      <Fact name="Roles">
        <Labels texts={roles.map(words)} none="None: ask an administrator." />
      </Fact>
      <Fact name="May, in the whole cloud">
        <Labels texts={told.permissions} none="Nothing." />
      </Fact>
    </DescriptionList>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <DescriptionListGroup>
      <DescriptionListTerm>{name}</DescriptionListTerm>
      <DescriptionListDescription>{children}</DescriptionListDescription>
    </DescriptionListGroup>
  );
}

function Sessions() {
  const sessions = api.useQuery("get", "/v1/account/sessions", { params: { query: { limit: 100 } } });
  const end = api.useMutation("delete", "/v1/account/sessions/{session_id}");
  return (
    <Card>
      <CardTitle component="h2">My sessions</CardTitle>
      <CardBody>
        {end.error !== null && <ProblemAlert error={end.error} />}
        <Loaded of={sessions}>
          {({ items }) =>
            items.length === 0 ? (
              <span className="rf-subtle">None: nobody is signed in to this account with a password.</span>
            ) : (
              <Table variant="compact" aria-label="My sessions">
                <Thead>
                  <Tr>
                    <Th>From</Th>
                    <Th>With</Th>
                    <Th>By</Th>
                    <Th>Began</Th>
                    <Th>Last used</Th>
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((one) => (
                    <Tr key={one.id}>
                      <Td dataLabel="From">{one.source}</Td>
                      <Td dataLabel="With" modifier="truncate">
                        {one.client}
                      </Td>
                      <Td dataLabel="By">{words(one.means)}</Td>
                      <Td dataLabel="Began">{ago(one.created_at)}</Td>
                      <Td dataLabel="Last used">{ago(one.used_at)}</Td>
                      <Td isActionCell>
                        {one.current ? (
                          <Label isCompact color="blue">
                            This one
                          </Label>
                        ) : (
                          <Button
                            variant="secondary"
                            size="sm"
                            aria-label={`End the session from ${one.source} that began ${ago(one.created_at)}`}
                            onClick={() => end.mutate({ params: { path: { session_id: one.id } } })}
                          >
                            End
                          </Button>
                        )}
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )
          }
        </Loaded>
      </CardBody>
    </Card>
  );
}

function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [wanted, setWanted] = useState("");
  const [again, setAgain] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | unknown>(null);
  const submit = () => {
    setBusy(true);
    void changePassword(current, wanted)
      .then((refused) => (refused === null ? onClose() : setProblem(refused)), setProblem)
      .finally(() => setBusy(false));
  };
  return (
    <FormDialog
      title="Change my password"
      description="All my other sessions end."
      submit="Change"
      ready={current !== "" && wanted !== "" && wanted === again}
      busy={busy}
      error={problem}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField label="Current password" type="password" value={current} onChange={setCurrent} required autoFocus complete="current-password" />
      <TextField label="New password" type="password" value={wanted} onChange={setWanted} required complete="new-password" />
      <TextField
        label="The new password again"
        type="password"
        value={again}
        onChange={setAgain}
        required
        complete="new-password"
        wrong={again !== "" && again !== wanted && "They differ."}
      />
    </FormDialog>
  );
}
