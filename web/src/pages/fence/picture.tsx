/** The fence as a picture: zones are frames, projects are in them, and an arrow is what some policy lets pass. */
import { Content } from "@patternfly/react-core";
import {
  type ComponentFactory,
  createTopologyControlButtons,
  DefaultEdge,
  DefaultNode,
  defaultControlButtonsOptions,
  type Edge,
  EdgeStyle,
  EdgeTerminalType,
  type GraphElement,
  GraphComponent,
  GROUPS_LAYER,
  Layer,
  LabelPosition,
  type Model,
  ModelKind,
  type Node,
  NodeShape,
  observer,
  TopologyControlBar,
  TopologyView,
  Visualization,
  VisualizationProvider,
  VisualizationSurface,
  withPanZoom,
} from "@patternfly/react-topology";
import { CubesIcon } from "@patternfly/react-icons/dist/esm/icons/cubes-icon";
import { type CSSProperties, useEffect, useMemo, useState } from "react";

import type { Zone } from "../../api/client";
import { matrixOf } from "../../fence";
import { count } from "../../format";
import { type Picture, pictureOf } from "../../picture";
import { Loaded } from "../../parts/page";
import { paint, useZones } from "../../parts/zones";
import { NoVms, useFence } from "./matrix";

const CIRCLE = 64;
const ICON = 26;
/** Within a frame: above, right, below with room for the names, left. */
const INSIDE = [60, 90, 80, 90];

const factory: ComponentFactory = (kind, type) => {
  if (type === "group") return ZoneFrame;
  if (kind === ModelKind.graph) return withPanZoom()(GraphComponent);
  if (kind === ModelKind.node) return ProjectNode;
  if (kind === ModelKind.edge) return WayEdge;
  return undefined;
};

const ZoneFrame = observer(({ element }: { element: GraphElement }) => {
  const { colour } = element.getData() as { colour: string };
  const { x, y, width, height } = (element as Node).getBounds();
  return (
    <Layer id={GROUPS_LAYER}>
      <g className="rf-zone-frame" style={{ "--rf-zone": colour } as CSSProperties}>
        <rect x={x} y={y} width={width} height={height} rx={16} />
        <circle cx={x + 24} cy={y + 26} r={7} />
        <text x={x + 40} y={y + 31}>
          {element.getLabel()}
        </text>
      </g>
    </Layer>
  );
});

const ProjectNode = observer(({ element }: { element: GraphElement }) => {
  const { within } = element.getData() as { within: string };
  return (
    <DefaultNode element={element as Node} showLabel secondaryLabel={within} showStatusDecorator={false}>
      <g transform={`translate(${(CIRCLE - ICON) / 2}, ${(CIRCLE - ICON) / 2})`} className="rf-project-icon">
        <CubesIcon width={ICON} height={ICON} />
      </g>
    </DefaultNode>
  );
});

const WayEdge = observer(({ element }: { element: GraphElement }) => {
  const { tag, start, end } = element.getData() as { tag: string; start: EdgeTerminalType; end: EdgeTerminalType };
  return <DefaultEdge element={element as Edge} tag={tag} startTerminalType={start} endTerminalType={end} />;
});

/** The picture as the library draws it. */
function modelOf({ circles, frames, arrows }: Picture, zones: readonly Zone[]): Model {
  return {
    graph: { id: "fence", type: "graph" },
    nodes: [
      ...circles.map(({ side, place, within }) => ({
        id: side.id,
        type: "node",
        label: `${side.project} (${count(side.vms, "VM")})`,
        labelPosition: LabelPosition.bottom,
        width: CIRCLE,
        height: CIRCLE,
        shape: NodeShape.ellipse,
        data: { within },
        ...place,
      })),
      ...frames.map(({ id, name, members }) => ({
        id,
        type: "group",
        group: true,
        label: name,
        data: { colour: paint(zones.find((zone) => zone.id === id)?.colour ?? "") },
        children: [...members],
        style: { padding: INSIDE },
      })),
    ],
    edges: arrows.map(({ id, from, to, text, there, back }) => ({
      id,
      type: "edge",
      source: from,
      target: to,
      edgeStyle: EdgeStyle.default,
      data: { tag: text, start: terminal(back), end: terminal(there) },
    })),
  };
}

function terminal(pointed: boolean): EdgeTerminalType {
  return pointed ? EdgeTerminalType.directional : EdgeTerminalType.none;
}

export default function PictureView() {
  const fence = useFence();
  const zones = useZones();
  const both = fence.data && zones.data ? { fence: fence.data, zones: zones.data.items } : undefined;
  return (
    <Loaded of={{ data: both, error: fence.error ?? zones.error, isPending: fence.isPending || zones.isPending }}>
      {(told) => {
        const matrix = matrixOf(told.fence);
        if (matrix.sides.length === 0) return <NoVms />;
        const picture = pictureOf(matrix);
        return (
          <>
            <Content component="p">
              Frames are zones, circles are projects with VMs in them, and an arrow is what a policy lets pass. The same is
              in words under “Who may call whom”.
            </Content>
            <Drawing model={modelOf(picture, told.zones)} />
          </>
        );
      }}
    </Loaded>
  );
}

/** So wide that the buttons below hide no name. */
const MARGIN = 64;

/** Fits the picture into its place as soon as the library has measured that, and whenever place or picture change. */
const Fitted = observer(({ controller, drawn }: { controller: Visualization; drawn: string }) => {
  const { width, height } = controller.getGraph().getBounds();
  useEffect(() => {
    if (width > 1 && height > 1) controller.getGraph().fit(MARGIN);
  }, [controller, drawn, width, height]);
  return null;
});

function Drawing({ model }: { model: Model }) {
  const [drawn, setDrawn] = useState<string>("");
  const controller = useMemo(() => {
    const made = new Visualization();
    made.registerComponentFactory(factory);
    return made;
  }, []);
  const now = JSON.stringify(model);
  useEffect(() => {
    if (now === drawn) return;
    controller.fromModel(JSON.parse(now) as Model, false);
    setDrawn(now);
  }, [controller, now, drawn]);
  const buttons = createTopologyControlButtons({
    ...defaultControlButtonsOptions,
    zoomInCallback: () => controller.getGraph().scaleBy(4 / 3),
    zoomOutCallback: () => controller.getGraph().scaleBy(3 / 4),
    fitToScreenCallback: () => controller.getGraph().fit(MARGIN),
    resetView: false,
    legend: false,
  });
  return (
    <div className="rf-picture">
      <TopologyView controlBar={<TopologyControlBar controlButtons={buttons} />}>
        <VisualizationProvider controller={controller}>
          <VisualizationSurface state={{}} />
          {drawn !== "" && <Fitted controller={controller} drawn={drawn} />}
        </VisualizationProvider>
      </TopologyView>
    </div>
  );
}
