/** What a project has of what it may have, one bar for each. */
import { Progress, ProgressSize } from "@patternfly/react-core";

import type { Project, Schemas } from "../api/client";
import { bytes, mib, percent } from "../format";

export type Kind = keyof Schemas["QuotaTold"];
const plain = (value: number) => value.toLocaleString("en");

/** `unit`: how many of the API's go into one of those that people type. */
export const KINDS: readonly { kind: Kind; title: string; field: string; show: (value: number) => string; unit: number }[] = [
  { kind: "vms", title: "VMs", field: "VMs", show: plain, unit: 1 },
  { kind: "vcpus", title: "vCPUs", field: "vCPUs", show: plain, unit: 1 },
  { kind: "memory_mib", title: "Memory", field: "Memory, in MiB", show: mib, unit: 1 },
  { kind: "disk_bytes", title: "Disk", field: "Disk, in GiB", show: bytes, unit: 1024 ** 3 },
  { kind: "ports", title: "Ports", field: "Ports", show: plain, unit: 1 },
];

export function QuotaBars({ project }: { project: Project }) {
  return (
    <div className="rf-stack">
      {KINDS.map(({ kind, title, show }) => {
        const used = project.used[kind];
        const allowed = project.quota[kind];
        const label = allowed === null ? `${show(used)}, no bound` : `${show(used)} of ${show(allowed)}`;
        const share = allowed === null ? 0 : allowed === 0 ? 100 : percent(used, allowed);
        return (
          <Progress
            key={kind}
            title={title}
            size={ProgressSize.sm}
            value={share}
            label={label}
            valueText={label}
            variant={share >= 100 ? "warning" : undefined}
          />
        );
      })}
    </div>
  );
}
