/** Zones in their own colours. A zone's colour is a word or a hex number of its owner's; what is not known stays grey. */
import { useEffect, useRef } from "react";
import { Link } from "react-router";

import { api } from "../api/client";

const KNOWN: Record<string, string> = {
  red: "#c9190b",
  orange: "#ec7a08",
  amber: "#f0ab00",
  yellow: "#dca614",
  green: "#3e8635",
  cyan: "#009596",
  teal: "#009596",
  blue: "#0066cc",
  purple: "#5752d1",
  violet: "#5752d1",
  pink: "#d63384",
  brown: "#7d4e24",
  black: "#292929",
  white: "#f0f0f0",
};
const GREY = "#8a8d90";

/** The colour to paint a zone with. */
export function paint(colour: string): string {
  return KNOWN[colour] ?? (/^#[0-9a-f]{6}$/.test(colour) ? colour : GREY);
}

export function ZoneDot({ colour }: { colour: string }) {
  const dot = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    dot.current?.style.setProperty("--rf-zone", paint(colour));
  }, [colour]);
  return <span ref={dot} className="rf-zone-dot" aria-hidden="true" />;
}

export function useZones() {
  return api.useQuery("get", "/v1/zones", { params: { query: { limit: 1000 } } });
}

/** A zone's name beside its colour; a link to the VMs in it. */
export function ZoneName({ name, linked = true }: { name: string; linked?: boolean }) {
  const zones = useZones();
  const colour = zones.data?.items.find((zone) => zone.name === name)?.colour ?? "";
  return (
    <span className="rf-zone-name">
      <ZoneDot colour={colour} />
      {linked ? <Link to={`/vms?zone=${encodeURIComponent(name)}`}>{name}</Link> : name}
    </span>
  );
}
