/** My account: who I am here and what I may, my sessions, tokens and passkeys, my password. */
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
  PageSection,
  Switch,
} from "@patternfly/react-core";
import { type ReactNode, useState } from "react";

import { api, type Schemas } from "../api/client";
import { words } from "../format";
import { Labels } from "../parts/labels";
import { Heading, Loaded } from "../parts/page";
import { useSession } from "../session";
import { signOut } from "../signing-in";
import { setDark, useDark } from "../theme";
import { PasskeysCard } from "./account/passkeys";
import { PasswordDialog } from "./account/password-dialog";
import { Sessions } from "./account/sessions";
import { TokensCard } from "./account/tokens";

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
            <TokensCard />
          </GridItem>
          <GridItem>
            <PasskeysCard />
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
