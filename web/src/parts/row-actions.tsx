import { MenuToggle } from "@patternfly/react-core";
import { EllipsisVIcon } from "@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon";
import { ActionsColumn, type IAction } from "@patternfly/react-table";

/** What can be done with one row. Its button says whose it is, which the library's own does not. */
export function RowActions({ name, items }: { name: string; items: IAction[] }) {
  return (
    <ActionsColumn
      items={items}
      popperProps={{ position: "right" }}
      actionsToggle={({ onToggle, isOpen, toggleRef }) => (
        <MenuToggle
          ref={toggleRef}
          variant="plain"
          aria-label={`Actions of ${name}`}
          icon={<EllipsisVIcon />}
          isExpanded={isOpen}
          onClick={onToggle}
        />
      )}
    />
  );
}
