/** My account: as long as one signs in with a token, what this tab knows of it. */
import { Button, Card, CardBody, CardTitle, Content, PageSection, Stack, StackItem, Switch } from "@patternfly/react-core";

import { Heading } from "../parts/page";
import { signOut } from "../session";
import { setDark, useDark } from "../theme";

export function AccountPage() {
  const dark = useDark();
  return (
    <>
      <Heading title="My account" />
      <PageSection hasBodyWrapper={false}>
        <Stack hasGutter>
          <StackItem>
            <Card>
              <CardTitle component="h2">Signed in with an API token</CardTitle>
              <CardBody>
                <Content component="p">
                  The token is kept in this tab only, and forgotten when you close it or sign out. Other tabs and other
                  people of this machine do not have it.
                </Content>
                <Button variant="secondary" onClick={signOut}>
                  Sign out
                </Button>
              </CardBody>
            </Card>
          </StackItem>
          <StackItem>
            <Card>
              <CardTitle component="h2">Appearance</CardTitle>
              <CardBody>
                <Switch id="dark" label="Dark theme" isChecked={dark} onChange={(_, on) => setDark(on)} />
              </CardBody>
            </Card>
          </StackItem>
        </Stack>
      </PageSection>
    </>
  );
}
