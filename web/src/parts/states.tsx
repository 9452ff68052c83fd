/** States as labels, each with a colour and an icon: colour alone tells nobody anything. */
import { Label, type LabelProps } from "@patternfly/react-core";
import { BanIcon } from "@patternfly/react-icons/dist/esm/icons/ban-icon";
import { CheckCircleIcon } from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import { ExclamationCircleIcon } from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import { InProgressIcon } from "@patternfly/react-icons/dist/esm/icons/in-progress-icon";
import { LockIcon } from "@patternfly/react-icons/dist/esm/icons/lock-icon";
import { PendingIcon } from "@patternfly/react-icons/dist/esm/icons/pending-icon";
import { PowerOffIcon } from "@patternfly/react-icons/dist/esm/icons/power-off-icon";
import { QuestionCircleIcon } from "@patternfly/react-icons/dist/esm/icons/question-circle-icon";
import { UndoIcon } from "@patternfly/react-icons/dist/esm/icons/undo-icon";
import type { ReactNode } from "react";

import { words } from "../format";

type Look = { status?: LabelProps["status"]; color?: LabelProps["color"]; icon: ReactNode };

const UNDER_WAY: Look = { color: "blue", icon: <InProgressIcon /> };
const LOOKS: Record<string, Look> = {
  running: { status: "success", icon: <CheckCircleIcon /> },
  ready: { status: "success", icon: <CheckCircleIcon /> },
  done: { status: "success", icon: <CheckCircleIcon /> },
  kept: { status: "success", icon: <CheckCircleIcon /> },
  stopped: { color: "grey", icon: <PowerOffIcon /> },
  removed: { color: "grey", icon: <PowerOffIcon /> },
  pending: { color: "grey", icon: <PendingIcon /> },
  cordoned: { status: "warning", icon: <BanIcon /> },
  unknown: { status: "warning", icon: <QuestionCircleIcon /> },
  silent: { status: "danger", icon: <ExclamationCircleIcon /> },
  failed: { status: "danger", icon: <ExclamationCircleIcon /> },
  broken: { status: "danger", icon: <ExclamationCircleIcon /> },
  quarantined: { status: "danger", icon: <LockIcon /> },
  "rolling-back": { status: "warning", icon: <UndoIcon /> },
};

export function StateLabel({ state, text, compact = true }: { state: string; text?: string; compact?: boolean }) {
  const look = LOOKS[state] ?? UNDER_WAY;
  return (
    <Label variant="outline" isCompact={compact} status={look.status} color={look.color} icon={look.icon}>
      {text ?? words(state)}
    </Label>
  );
}

/** An operation's state; `running` says that it goes on, unlike a VM's. */
export function OperationState({ state }: { state: string }) {
  return state === "running" ? (
    <Label variant="outline" isCompact color="blue" icon={<InProgressIcon />}>
      Running
    </Label>
  ) : (
    <StateLabel state={state} />
  );
}
