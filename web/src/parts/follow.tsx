/** Follows operations that this person began: each is a toast with its step, until it has ended and was read. */
import { Alert, AlertActionCloseButton, AlertGroup, Content } from "@patternfly/react-core";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Link } from "react-router";

import { api, type Operation } from "../api/client";
import { words } from "../format";

type Follow = (operationId: string | null | undefined) => void;
const Context = createContext<Follow>(() => {});
const READ_MS = 6000;
const MOST = 4;

/** What to call with an operation's id, so that its progress is shown. */
export function useFollow(): Follow {
  return useContext(Context);
}

export function Following({ children }: { children: ReactNode }) {
  const [followed, setFollowed] = useState<readonly string[]>([]);
  const follow = useCallback<Follow>((id) => {
    if (id) setFollowed((before) => [...before.filter((other) => other !== id), id].slice(-MOST));
  }, []);
  const forget = useCallback((id: string) => {
    setFollowed((before) => before.filter((other) => other !== id));
  }, []);
  const toasts = useMemo(
    () => followed.map((id) => <OperationToast key={id} id={id} onClose={() => forget(id)} />),
    [followed, forget],
  );
  return (
    <Context.Provider value={follow}>
      {children}
      <AlertGroup isToast isLiveRegion aria-label="What goes on">
        {toasts}
      </AlertGroup>
    </Context.Provider>
  );
}

function OperationToast({ id, onClose }: { id: string; onClose: () => void }) {
  const operation = api.useQuery("get", "/v1/operations/{ref}", { params: { path: { ref: id } } }).data;
  const done = operation?.state === "done";
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(onClose, READ_MS);
    return () => clearTimeout(timer);
  }, [done, onClose]);
  if (operation === undefined) return null;
  return (
    <Alert
      variant={operation.state === "failed" ? "danger" : done ? "success" : "info"}
      title={titleOf(operation)}
      actionClose={<AlertActionCloseButton aria-label={`Close: ${titleOf(operation)}`} onClose={onClose} />}
      actionLinks={<Link to={`/operations/${id}`}>See its steps</Link>}
    >
      <Content component="p">{lineOf(operation)}</Content>
    </Alert>
  );
}

/** `Create VM web-1`. */
export function titleOf(operation: Pick<Operation, "kind" | "subject_name">): string {
  return operation.kind === "verify" ? "Verify the promises" : `${words(operation.kind)}: ${operation.subject_name}`;
}

/** The newest of what there is to say of the operation. */
export function lineOf(operation: Pick<Operation, "state" | "steps" | "error">): string {
  if (operation.error) return operation.error.message;
  const last = operation.steps.at(-1);
  if (operation.state === "done") return last?.detail || "Done.";
  if (last === undefined) return "Waiting to begin.";
  return last.detail ? `${words(last.name)}: ${last.detail}` : `${words(last.name)} …`;
}
