import { useState } from "react";

import { FormDialog } from "../../parts/dialogs";
import { TextField } from "../../parts/fields";
import { changePassword } from "../../signing-in";

export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [wanted, setWanted] = useState("");
  const [again, setAgain] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
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
