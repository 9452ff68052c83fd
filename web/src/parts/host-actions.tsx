import { Button, Tooltip } from "@patternfly/react-core";

import { api, type Host, problemOf } from "../api/client";
import { useMay } from "../may";

/** Cordons a host, or lets it have VMs again; what it runs stays either way, so no name need be typed. */
export function CordonButton({ host }: { host: Host }) {
  const path = { params: { path: { ref: host.id } } };
  const cordon = api.useMutation("post", "/v1/hosts/{ref}/cordon");
  const uncordon = api.useMutation("post", "/v1/hosts/{ref}/uncordon");
  const mayManage = useMay().cloud("host:manage");
  if (!mayManage || (host.state !== "ready" && host.state !== "cordoned")) return null;
  const ready = host.state === "ready";
  const change = ready ? cordon : uncordon;
  const told = change.error === null ? undefined : problemOf(change.error).detail;
  const tip = told ?? (ready ? "No VM is placed on it any more; those it runs stay." : "Let it have VMs again.");
  return (
    <Tooltip content={tip}>
      <Button
        variant="secondary"
        size="sm"
        isLoading={change.isPending}
        aria-label={`${ready ? "Cordon" : "Uncordon"} ${host.name}`}
        onClick={() => change.mutate(path)}
      >
        {ready ? "Cordon" : "Uncordon"}
      </Button>
    </Tooltip>
  );
}
