/** A VM's screen. Keys and pointer go to the guest while it has the focus; Ctrl+] leaves it, so that nobody is caught in it. */
import { Button, Content, Flex, PageSection, Switch } from "@patternfly/react-core";
import RFB from "@novnc/novnc";
import { useEffect, useRef, useState } from "react";
import { useParams } from "react-router";

import { api } from "../api/client";
import { type Attach, Ended, LineLabel, lineUrl, useLine, whyRefused } from "../parts/line";
import { Heading } from "../parts/page";
import { socketProtocols } from "../session";

export default function ScreenPage() {
  const { id = "" } = useParams();
  const vm = api.useQuery("get", "/v1/vms/{vm_id}", { params: { path: { vm_id: id } } }).data;
  const [fitted, setFitted] = useState(true);
  const screen = useRef<RFB | null>(null);
  const { place, leave, line, problem, attempt, again } = useLine(id, (...how) => {
    const joined = attach(...how);
    screen.current = joined.screen;
    return joined.leave;
  });

  useEffect(() => {
    if (screen.current !== null) screen.current.scaleViewport = fitted;
  }, [fitted, attempt, id]);

  const name = vm?.name ?? "VM";
  return (
    <>
      <Heading
        title={`Screen of ${name}`}
        under={{ to: `/vms/${id}`, name }}
        beside={<LineLabel line={line} />}
        actions={
          <Flex columnGap={{ default: "columnGapMd" }} alignItems={{ default: "alignItemsCenter" }}>
            <Switch label="Fit to the page" isChecked={fitted} onChange={(_, on) => setFitted(on)} />
            <Button
              variant="secondary"
              isDisabled={line !== "connected"}
              onClick={() => {
                screen.current?.sendCtrlAltDel();
                screen.current?.focus();
              }}
            >
              Send Ctrl+Alt+Del
            </Button>
            <Button variant="secondary" isDisabled={line !== "connected"} onClick={() => void place.current?.requestFullscreen()}>
              Full screen
            </Button>
            <Button ref={leave} variant="secondary" onClick={again}>
              {line === "ended" ? "Connect again" : "Reconnect"}
            </Button>
          </Flex>
        }
      />
      <PageSection hasBodyWrapper={false}>
        <Flex direction={{ default: "column" }}>
          {line === "ended" && <Ended kind="screen" problem={problem} />}
          <div ref={place} className="rf-screen" role="region" aria-label={`Screen of ${name}`} />
          <Content component="small" className="rf-subtle">
            Keys and pointer go to the guest. <kbd>Ctrl</kbd>+<kbd>]</kbd> leaves the screen.
          </Content>
        </Flex>
      </PageSection>
    </>
  );
}

const CONTROL_KEYSYMS = { ControlLeft: 0xffe3, ControlRight: 0xffe4 };

/** Join a new screen to the VM; `leave` takes it away again. */
function attach(
  ...[place, vmId, connected, ended, left]: Parameters<Attach>
): { screen: RFB; leave: () => void } {
  const screen = new RFB(place, lineUrl(vmId, "screen"), { shared: true, wsProtocols: socketProtocols("ringfence.screen") });
  screen.background = "#151515";
  screen.showDotCursor = true;
  let open = false;
  let over = false;
  let away = false;
  screen.addEventListener("connect", () => {
    open = true;
    const canvas = place.querySelector("canvas");
    if (canvas !== null) {
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "application");
      canvas.setAttribute("aria-label", "What the guest shows");
    }
    connected();
    screen.focus();
  });
  screen.addEventListener("disconnect", () => {
    over = true;
    if (away) return;
    void (open ? Promise.resolve(null) : whyRefused(vmId, "screen")).then((why) => away || ended(why));
  });
  // Before noVNC, which gives every key to the guest.
  const onKey = (key: KeyboardEvent) => {
    if (!key.ctrlKey || key.key !== "]") return;
    key.preventDefault();
    key.stopPropagation();
    // Whoever leaves lets go of Ctrl elsewhere, where the guest would not hear of it.
    for (const [code, keysym] of Object.entries(CONTROL_KEYSYMS)) screen.sendKey(keysym, code, false);
    left();
  };
  place.addEventListener("keydown", onKey, { capture: true });
  return {
    screen,
    leave: () => {
      away = true;
      place.removeEventListener("keydown", onKey, { capture: true });
      if (!over) screen.disconnect();
    },
  };
}
