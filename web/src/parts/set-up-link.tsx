import { Content } from "@patternfly/react-core";
import { useState } from "react";

import { api } from "../api/client";
import { moment } from "../format";
import { Recipient } from "../sealing";
import { FormDialog } from "./dialogs";
import { ShownOnce } from "./shown-once";

/** Makes the link by which a person chooses their password: sealed on its way, opened here. */
export function SetUpLinkDialog({ account, onClose }: { account: string; onClose: () => void }) {
  const [recipient] = useState(() => new Recipient());
  const make = api.useMutation("post", "/v1/accounts/{account}/setup-link");
  if (make.data !== undefined) {
    const { page, sealed_secret, expires_at } = make.data;
    return (
      <ShownOnce
        title={`Set-up link of ${account}`}
        label="The set-up link"
        secret={`${page}#${recipient.open(sealed_secret)}`}
        onClose={onClose}
      >
        Hand it to {account} in a way that nobody else reads: whoever opens it chooses the password. It serves once, until{" "}
        {moment(expires_at)}.
      </ShownOnce>
    );
  }
  return (
    <FormDialog
      title={`Set-up link of ${account}`}
      submit="Make the link"
      busy={make.isPending}
      error={make.error}
      onSubmit={() => make.mutate({ params: { path: { account } }, body: { recipient: recipient.publicKey } })}
      onClose={onClose}
    >
      <Content component="p">By it {account} chooses a password. Sessions that {account} has end once it is used.</Content>
    </FormDialog>
  );
}
