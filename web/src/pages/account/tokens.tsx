/** My API tokens: each acts for me, as far as it is let. */
import { Button, Card, CardBody, CardHeader, CardTitle, Content } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";

import { api, type Schemas } from "../../api/client";
import { ago, moment } from "../../format";
import { ConfirmByName } from "../../parts/dialogs";
import { Labels } from "../../parts/labels";
import { Loaded } from "../../parts/page";
import { TokenDialog } from "../../parts/token-dialog";

type Token = Schemas["TokenTold"];

export function TokensCard() {
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Token | null>(null);
  const me = api.useQuery("get", "/v1/session").data?.account;
  const tokens = api.useQuery(
    "get",
    "/v1/tokens",
    { params: { query: { account: me?.name, limit: 1000 } } },
    { enabled: me !== undefined },
  );
  const make = (
    <Button variant="link" isInline onClick={() => setMaking(true)}>
      Make a token
    </Button>
  );
  return (
    <Card>
      <CardHeader actions={{ hasNoOffset: true, actions: make }}>
        <CardTitle component="h2">My API tokens</CardTitle>
      </CardHeader>
      <CardBody>
        <Loaded of={tokens}>
          {({ items }) =>
            items.length === 0 ? (
              <span className="rf-subtle">None. Make one for each program that is to act for you, and let it do no more than it needs.</span>
            ) : (
              <Table variant="compact" aria-label="My API tokens">
                <Thead>
                  <Tr>
                    <Th>Name</Th>
                    <Th width={40}>May</Th>
                    <Th>Ends</Th>
                    <Th>Last used</Th>
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((token) => (
                    <Tr key={token.id}>
                      <Td dataLabel="Name">{token.name}</Td>
                      <Td dataLabel="May">
                        <Labels texts={token.scope} none="All that I may" />
                      </Td>
                      <Td dataLabel="Ends">{token.expires_at === null ? "Never" : moment(token.expires_at)}</Td>
                      <Td dataLabel="Last used">{token.last_used_at === null ? "Never" : ago(token.last_used_at)}</Td>
                      <Td isActionCell>
                        <Button variant="secondary" size="sm" aria-label={`Delete token ${token.name}`} onClick={() => setRemoving(token)}>
                          Delete …
                        </Button>
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )
          }
        </Loaded>
      </CardBody>
      {making && <TokenDialog onClose={() => setMaking(false)} />}
      {removing !== null && <DeleteDialog token={removing} onClose={() => setRemoving(null)} />}
    </Card>
  );
}

function DeleteDialog({ token, onClose }: { token: Token; onClose: () => void }) {
  const remove = api.useMutation("delete", "/v1/tokens/{token_id}", { onSuccess: onClose });
  return (
    <ConfirmByName
      title={`Delete token ${token.name}?`}
      name={token.name}
      verb="Delete"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { token_id: token.id } } })}
      onClose={onClose}
    >
      <Content component="p">Its secret opens nothing any more; a program that uses it is refused from now on.</Content>
    </ConfirmByName>
  );
}
