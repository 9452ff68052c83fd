/** Pages of a list by the server's cursor, with the filters in the address, so that a page can be sent to somebody. */
import { Button, ToolbarItem } from "@patternfly/react-core";
import { AngleLeftIcon } from "@patternfly/react-icons/dist/esm/icons/angle-left-icon";
import { AngleRightIcon } from "@patternfly/react-icons/dist/esm/icons/angle-right-icon";
import { useCallback } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";

const CURSOR = "cursor";

/** The filters as the address has them; a change of one begins at the first page again. */
export function useFilters<Name extends string>(names: readonly Name[]) {
  const [params, setParams] = useSearchParams();
  const values = Object.fromEntries(names.map((name) => [name, params.get(name) || undefined])) as Partial<
    Record<Name, string>
  >;
  const set = useCallback(
    (name: Name, value: string) => {
      setParams(
        (before) => {
          const after = new URLSearchParams(before);
          after.delete(CURSOR);
          if (value === "") after.delete(name);
          else after.set(name, value);
          return after;
        },
        { replace: true },
      );
    },
    [setParams],
  );
  const clear = useCallback(() => setParams({}, { replace: true }), [setParams]);
  return { values, set, clear, any: Object.values(values).some(Boolean), cursor: params.get(CURSOR) ?? undefined };
}

/** Back and on. How one came here is kept with the page in the history, for the cursor tells only what is next. */
export function Paging({ next, shown, what }: { next: string | null | undefined; shown: number; what: string }) {
  const { pathname, search, state } = useLocation();
  const go = useNavigate();
  const here = new URLSearchParams(search);
  const trail = trailOf(state);
  const cursor = here.get(CURSOR);
  const to = (at: string | null, nextTrail: readonly (string | null)[]) => {
    const params = new URLSearchParams(search);
    params.delete(CURSOR);
    if (at !== null) params.set(CURSOR, at);
    void go({ pathname, search: params.toString() }, { state: { trail: nextTrail } });
  };
  return (
    <>
      <ToolbarItem alignSelf="center">
        <span className="rf-subtle" role="status">
          {shown === 0 ? `No ${what}` : `${shown}${next || cursor ? "" : " in all"}, page ${trail.length + 1}`}
        </span>
      </ToolbarItem>
      <ToolbarItem>
        <Button
          variant="plain"
          aria-label="Previous page"
          icon={<AngleLeftIcon />}
          isDisabled={cursor === null}
          onClick={() => to(trail.at(-1) ?? null, trail.slice(0, -1))}
        />
        <Button
          variant="plain"
          aria-label="Next page"
          icon={<AngleRightIcon />}
          isDisabled={!next}
          onClick={() => next && to(next, [...trail, cursor])}
        />
      </ToolbarItem>
    </>
  );
}

function trailOf(state: unknown): readonly (string | null)[] {
  const trail = (state as { trail?: unknown } | null)?.trail;
  return Array.isArray(trail) ? (trail as (string | null)[]) : [];
}
