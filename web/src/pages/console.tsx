/** A VM's serial console. Keys go to the guest; Ctrl+] leaves the terminal, so that nobody is caught in it. */
import "@xterm/xterm/css/xterm.css";

import { Button, Content, Flex, PageSection } from "@patternfly/react-core";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { useParams } from "react-router";

import { api } from "../api/client";
import { Ended, LineLabel, lineUrl, useLine, whyRefused } from "../parts/line";
import { Heading } from "../parts/page";
import { socketProtocols } from "../session";
import { styledDocument } from "../terminal-styles";

export default function ConsolePage() {
  const { id = "" } = useParams();
  const vm = api.useQuery("get", "/v1/vms/{vm_id}", { params: { path: { vm_id: id } } }).data;
  const { place, leave, line, problem, again } = useLine(id, attach);
  const name = vm?.name ?? "VM";
  return (
    <>
      <Heading
        title={`Console of ${name}`}
        under={{ to: `/vms/${id}`, name }}
        beside={<LineLabel line={line} />}
        actions={
          <Button ref={leave} variant="secondary" onClick={again}>
            {line === "ended" ? "Connect again" : "Reconnect"}
          </Button>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Flex direction={{ default: "column" }}>
          {line === "ended" && <Ended kind="console" problem={problem} />}
          <div ref={place} className="rf-terminal" role="region" aria-label={`Serial console of ${name}`} />
          <Content component="small" className="rf-subtle">
            Keys go to the guest. <kbd>Ctrl</kbd>+<kbd>]</kbd> leaves the terminal.
          </Content>
        </Flex>
      </PageSection>
    </>
  );
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

  const socket = new WebSocket(lineUrl(vmId, "console"), socketProtocols("ringfence.console"));
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
    void (open ? Promise.resolve(null) : whyRefused(vmId, "console")).then((why) => away || ended(why));
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
