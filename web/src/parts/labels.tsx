import { Label } from "@patternfly/react-core";

/** Words beside one another; `none` where there are none. */
export function Labels({ texts, none }: { texts: readonly string[]; none: string }) {
  if (texts.length === 0) return <span className="rf-subtle">{none}</span>;
  return (
    <span className="rf-labels">
      {texts.map((text) => (
        <Label key={text} isCompact>
          {text}
        </Label>
      ))}
    </span>
  );
}
