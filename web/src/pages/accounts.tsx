/** Accounts: the people and services that use the cloud, and what they may in all of it. */
import { Content } from "@patternfly/react-core";
import { UserIcon } from "@patternfly/react-icons/dist/esm/icons/user-icon";
import { useState } from "react";

import { type Account, api, ifMatch } from "../api/client";
import { words } from "../format";
import { useMay } from "../may";
import { FormDialog } from "../parts/dialogs";
import { Labels } from "../parts/labels";
import { NounPage } from "../parts/noun";
import { SetUpLinkDialog } from "../parts/set-up-link";
import { StateLabel } from "../parts/states";
import { TokenDialog } from "../parts/token-dialog";
import { AccountDialog } from "./accounts/account-dialog";

type Open = { dialog: "link" | "lock" | "token"; account: Account } | null;

export function AccountsPage() {
  const [open, setOpen] = useState<Open>(null);
  const mayManage = useMay().cloud("account:manage");
  const accounts = api.useQuery("get", "/v1/accounts", { params: { query: { limit: 1000 } } });
  const remove = api.useMutation("delete", "/v1/accounts/{ref}");
  return (
    <>
      <NounPage<Account>
        title="Accounts"
        one="account"
        about="An account is a person, or a service that acts for itself. What it may within a project, its membership there says."
        icon={UserIcon}
        create="Create account"
        mayCreate={mayManage}
        mayChange={() => mayManage}
        empty="Nobody has an account yet: give everyone one of their own, so that the ledger can tell who did what."
        of={accounts}
        columns={[
          { title: "Account", cell: (account) => account.name },
          { title: "Name", cell: (account) => account.display_name || "–" },
          { title: "Kind", cell: (account) => words(account.kind) },
          { title: "Roles in the cloud", cell: (account) => <Labels texts={account.roles.map(words)} none="None" /> },
          {
            title: "State",
            cell: (account) => (account.disabled ? <StateLabel state="cordoned" text="Locked" /> : <StateLabel state="ready" text="Active" />),
          },
        ]}
        actions={(account) => [
          ...(account.kind === "person" && !account.disabled
            ? [{ title: "Make a set-up link …", onClick: () => setOpen({ dialog: "link", account }) }]
            : []),
          ...(account.kind === "service" ? [{ title: "Make a token …", onClick: () => setOpen({ dialog: "token", account }) }] : []),
          { title: account.disabled ? "Unlock …" : "Lock …", onClick: () => setOpen({ dialog: "lock", account }) },
        ]}
        form={(account, close) => (
          <AccountDialog
            account={account}
            onMade={(made) => {
              close();
              if (made.kind === "person") setOpen({ dialog: "link", account: made });
            }}
            onClose={close}
          />
        )}
        removal={{
          busy: remove.isPending,
          error: remove.error,
          reset: remove.reset,
          warning: "Its tokens and sessions end. One that owns a VM or a project hands those over first; to keep somebody out at once, lock the account.",
          onConfirm: (account, done) =>
            remove.mutate({ params: { path: { ref: account.id }, header: ifMatch(account) } }, { onSuccess: done }),
        }}
      />
      {open?.dialog === "link" && <SetUpLinkDialog account={open.account.name} onClose={() => setOpen(null)} />}
      {open?.dialog === "token" && <TokenDialog service={open.account.name} onClose={() => setOpen(null)} />}
      {open?.dialog === "lock" && <LockDialog account={open.account} onClose={() => setOpen(null)} />}
    </>
  );
}

function LockDialog({ account, onClose }: { account: Account; onClose: () => void }) {
  const change = api.useMutation("patch", "/v1/accounts/{ref}", { onSuccess: onClose });
  const verb = account.disabled ? "Unlock" : "Lock";
  return (
    <FormDialog
      title={`${verb} account ${account.name}?`}
      submit={verb}
      danger={!account.disabled}
      busy={change.isPending}
      error={change.error}
      onSubmit={() =>
        change.mutate({ params: { path: { ref: account.id }, header: ifMatch(account) }, body: { disabled: !account.disabled } })
      }
      onClose={onClose}
    >
      <Content component="p">
        {account.disabled
          ? "It may sign in again, and its tokens open what they opened before."
          : "Its sessions end, nobody signs in to it, and its tokens open nothing. What it owns it keeps."}
      </Content>
    </FormDialog>
  );
}
