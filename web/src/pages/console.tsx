/** A VM's serial console. Keys go to the guest; Ctrl+] leaves the terminal, so that nobody is caught in it. */
import "@xterm/xterm/css/xterm.css";

import { Alert, Button, Content, Flex, PageSection } from "@patternfly/react-core";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useEffect, useRef, useState } from "react";
import { useParams } from "react-router";

import { api, http, problemOf } from "../api/client";
import { Heading } from "../parts/page";
import { ProblemAlert } from "../parts/problems";
import { StateLabel } from "../parts/states";
import { socketProtocols } from "../session";
import { styledDocument } from "../terminal-styles";

type Line = "connecting" | "connected" | "ended";

export default function ConsolePage() {
  const { id = "" } = useParams();
  const vm = api.useQuery("get", "/v1/vms/{vm_id}", { params: { path: { vm_id: id } } }).data;
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
    return attach(place.current, id, () => setLine("connected"), ended, () => leave.current?.focus());
  }, [id, attempt]);

  const name = vm?.name ?? "VM";
  return (
    <>
      <Heading
        title={`Console of ${name}`}
        under={{ to: `/vms/${id}`, name }}
        beside={<LineLabel line={line} />}
        actions={
          <Button ref={leave} variant="secondary" onClick={() => setAttempt(attempt + 1)}>
            {line === "ended" ? "Connect again" : "Reconnect"}
          </Button>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Flex direction={{ default: "column" }}>
          {line === "ended" &&
            (problem === null ? (
              <Alert isInline variant="info" title="The console has ended">
                The VM was stopped or moved, or its host let go of the line.
              </Alert>
            ) : (
              <ProblemAlert error={problem} />
            ))}
          <div ref={place} className="rf-terminal" role="region" aria-label={`Serial console of ${name}`} />
          <Content component="small" className="rf-subtle">
            Keys go to the guest. <kbd>Ctrl</kbd>+<kbd>]</kbd> leaves the terminal.
          </Content>
        </Flex>
      </PageSection>
    </>
  );
}

function LineLabel({ line }: { line: Line }) {
  const states = { connecting: "starting", connected: "running", ended: "stopped" };
  const texts = { connecting: "Connecting", connected: "Connected", ended: "Ended" };
  return <StateLabel state={states[line]} text={texts[line]} compact={false} />;
}

/** Join a new terminal to the VM's console; gives what takes it away again. */
function attach(
  place: HTMLElement,
  vmId: string,
  connected: () => void,
  ended: (why: unknown) => void,
  leave: () => void,
): () => void {
  const terminal = new Terminal({
    documentOverride: styledDocument(document),
    cursorBlink: true,
    fontFamily: "'Red Hat Mono', 'Liberation Mono', monospace",
    screenReaderMode: true,
    scrollback: 5000,
    theme: { background: "#151515", foreground: "#f0f0f0" },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  terminal.focus();
  const resizing = new ResizeObserver(() => fit.fit());
  resizing.observe(place);
  terminal.attachCustomKeyEventHandler((key) => {
    if (key.ctrlKey && key.key === "]") {
      leave();
      return false;
    }
    return true;
  });

  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const protocols = socketProtocols("ringfence.console");
  const socket = new WebSocket(`${scheme}://${location.host}/v1/vms/${encodeURIComponent(vmId)}/console`, protocols);
  socket.binaryType = "arraybuffer";
  let open = false;
  let away = false;
  socket.onopen = () => {
    open = true;
    connected();
  };
  socket.onmessage = (message) => terminal.write(new Uint8Array(message.data as ArrayBuffer));
  socket.onclose = () => {
    if (away) return;
    // A browser tells nothing of a refused handshake: the VM's own state says why.
    void (open ? Promise.resolve(null) : whyRefused(vmId)).then((why) => away || ended(why));
  };
  const bytes = new TextEncoder();
  const typed = terminal.onData((text) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes.encode(text));
  });
  return () => {
    away = true;
    typed.dispose();
    resizing.disconnect();
    socket.close();
    terminal.dispose();
  };
}

async function whyRefused(vmId: string): Promise<unknown> {
  try {
    const { data, error } = await http.GET("/v1/vms/{vm_id}", { params: { path: { vm_id: vmId } } });
    if (error !== undefined) return error;
    const running = data.state === "running" || data.state === "moving";
    return {
      ...problemOf(new TypeError()),
      code: running ? "host-unreachable" : "wrong-state",
      detail: running ? `The host of ${data.name} did not open its console.` : `${data.name} is ${data.state}.`,
      remedy: running ? "See that the host's agent runs, then connect again." : "Start it, then connect again.",
      family: running ? "unreachable" : "refused",
    };
  } catch (away) {
    return away;
  }
}
