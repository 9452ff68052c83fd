/** Who may call whom: a row calls, a column is called. */
import { Alert, Button, Content, Label, List, ListItem, Popover } from "@patternfly/react-core";
import { CheckCircleIcon } from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import { NetworkIcon } from "@patternfly/react-icons/dist/esm/icons/network-icon";

import { api } from "../../api/client";
import { type Cell, type Matrix, matrixOf, showParty, type Side } from "../../fence";
import { count } from "../../format";
import { useMay } from "../../may";
import { Loaded, Nothing } from "../../parts/page";
import { ZoneName } from "../../parts/zones";

export function useFence() {
  return api.useQuery("get", "/v1/fence");
}

export function MatrixView() {
  const fence = useFence();
  return (
    <Loaded of={fence}>
      {(told) => {
        const matrix = matrixOf(told);
        if (matrix.sides.length === 0) return <NoVms />;
        return (
          <>
            {!told.complete && (
              <Alert isInline variant="warning" title="There are more ways than are shown here">
                Only the first ones are. Ask the API for the rest, by policy.
              </Alert>
            )}
            <Content component="p">A row calls, a column is called. Press a cell to see which VMs, and by which policy.</Content>
            <MatrixTable matrix={matrix} />
          </>
        );
      }}
    </Loaded>
  );
}

export function NoVms() {
  const mayCreate = useMay().somewhere("vm:create");
  return (
    <Nothing
      icon={NetworkIcon}
      title="Nobody to keep apart yet"
      link={mayCreate ? { to: "/vms/new", label: "Create a VM" } : undefined}
    >
      As soon as there are VMs, this shows which of them may call which.
    </Nothing>
  );
}

function MatrixTable({ matrix }: { matrix: Matrix }) {
  return (
    <div className="rf-matrix-scroll" tabIndex={0} role="region" aria-label="Matrix of who may call whom">
      <table className="rf-matrix">
        <thead>
          <tr>
            <th scope="col">Calls ↓ … is called →</th>
            {matrix.sides.map((side) => (
              <th key={side.id} scope="col">
                <SideName side={side} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {matrix.sides.map((source) => (
            <tr key={source.id}>
              <th scope="row">
                <SideName side={source} />
              </th>
              {matrix.sides.map((target) => (
                <td key={target.id}>
                  <CellView cell={matrix.cell(source, target)} source={source} target={target} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SideName({ side }: { side: Side }) {
  return (
    <>
      <ZoneName name={side.zone} linked={false} />
      <Content component="small" className="rf-subtle">
        {side.project}, {count(side.vms, "VM")}
      </Content>
    </>
  );
}

function CellView({ cell, source, target }: { cell: Cell | undefined; source: Side; target: Side }) {
  if (cell === undefined) return <span className="rf-denied">denied</span>;
  const title = `${source.project} in ${source.zone} calls ${target.project} in ${target.zone}`;
  return (
    <Popover
      headerContent={title}
      hasAutoWidth
      bodyContent={
        <List>
          {cell.ways.map((way, at) => (
            <ListItem key={at}>
              {showParty(way.source)} → {showParty(way.target)}: <strong>{way.allowed}</strong>, by{" "}
              {way.policies.join(", ")}
            </ListItem>
          ))}
        </List>
      }
    >
      <Button variant="plain" aria-label={`${title}: ${cell.openings.join("; ")}${cell.whole ? "" : ", some VMs"}`}>
        <span className="rf-labels">
          {cell.openings.map((one) => (
            <Label key={one} isCompact color={cell.whole ? "green" : "teal"} icon={<CheckCircleIcon />}>
              {one}
              {cell.whole ? "" : " (some VMs)"}
            </Label>
          ))}
        </span>
      </Button>
    </Popover>
  );
}
