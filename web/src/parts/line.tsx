/** The line to a VM's console or screen: where it is, how it stands, and why it ended. */
import { Alert } from "@patternfly/react-core";
import { useEffect, useRef, useState } from "react";

import { http, problemOf } from "../api/client";
import { ProblemAlert } from "./problems";
import { StateLabel } from "./states";

export type Line = "connecting" | "connected" | "ended";
export type Kind = "console" | "screen";

export function lineUrl(vmId: string, kind: Kind): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${location.host}/v1/vms/${encodeURIComponent(vmId)}/${kind}`;
}

/** Joins an element to the VM and tells how that goes; gives what takes it away again. `left`: who was in it leaves it. */
export type Attach = (
  place: HTMLElement,
  vmId: string,
  connected: () => void,
  ended: (why: unknown) => void,
  left: () => void,
) => () => void;

/** Keep the element `place` joined to the VM until the page is left; `again` joins it anew. Who leaves it comes to `leave`. */
export function useLine(vmId: string, attach: Attach) {
  const [attempt, setAttempt] = useState(1);
  const [line, setLine] = useState<Line>("connecting");
  const [problem, setProblem] = useState<unknown>(null);
  const place = useRef<HTMLDivElement>(null);
  const leave = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (place.current === null) return undefined;
    setLine("connecting");
    setProblem(null);
    const ended = (why: unknown) => {
      setLine("ended");
      setProblem(why);
    };
    return attach(place.current, vmId, () => setLine("connected"), ended, () => leave.current?.focus());
    // `attach` is what the page does, and not a value that changes.
  }, [vmId, attempt]);
  return { place, leave, line, problem, attempt, again: () => setAttempt(attempt + 1) };
}

export function LineLabel({ line }: { line: Line }) {
  const states = { connecting: "starting", connected: "running", ended: "stopped" };
  const texts = { connecting: "Connecting", connected: "Connected", ended: "Ended" };
  return <StateLabel state={states[line]} text={texts[line]} compact={false} />;
}

/** `problem` null: it was open, and ended. */
export function Ended({ kind, problem }: { kind: Kind; problem: unknown }) {
  if (problem !== null) return <ProblemAlert error={problem} />;
  return (
    <Alert isInline variant="info" title={`The ${kind} has ended`}>
      The VM was stopped or moved, or its host let go of the line.
    </Alert>
  );
}

/** A browser tells nothing of a refused handshake: the VM's own state says why. */
export async function whyRefused(vmId: string, kind: Kind): Promise<unknown> {
  try {
    const { data, error } = await http.GET("/v1/vms/{vm_id}", { params: { path: { vm_id: vmId } } });
    if (error !== undefined) return error;
    const problem = problemOf(new TypeError());
    if (data.state !== "running" && data.state !== "moving") {
      const detail = `${data.name} is ${data.state}.`;
      return { ...problem, code: "wrong-state", detail, remedy: "Start it, then connect again.", family: "refused" };
    }
    const about = (await http.GET("/v1/about")).data;
    if (kind === "screen" && about?.simulated === true) {
      const detail = `${data.name} has no screen: its host is simulated.`;
      return { ...problem, code: "no-screen", detail, remedy: "Open its console instead.", family: "refused" };
    }
    return {
      ...problem,
      code: "host-unreachable",
      detail: `The host of ${data.name} did not open its ${kind}.`,
      remedy: `See that the host's agent runs, and that nobody else has the ${kind} open; then connect again.`,
      family: "unreachable",
    };
  } catch (away) {
    return away;
  }
}
