/** A short list of named things with its table, and dialogs to make, change and delete one. Longer lists have pages of their own. */
import { Button, Content, PageSection } from "@patternfly/react-core";
import { type IAction, Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { type ComponentType, type ReactNode, useState } from "react";

import { ConfirmByName } from "./dialogs";
import { Heading, Loaded, Nothing } from "./page";
import { RowActions } from "./row-actions";

export interface Column<Item> {
  title: string;
  cell: (item: Item) => ReactNode;
}

interface Removal<Item> {
  busy: boolean;
  error: unknown;
  reset: () => void;
  warning: string;
  reasoned?: boolean;
  onConfirm: (item: Item, done: () => void, reason: string) => void;
}

interface NounProps<Item extends { id: string; name: string; revision: number }> {
  title: string;
  one: string;
  about: string;
  icon: ComponentType;
  create: string;
  mayCreate: boolean;
  mayChange: (item: Item) => boolean;
  empty: ReactNode;
  of: { data: { items: Item[] } | undefined; error: unknown; isPending: boolean };
  columns: readonly Column<Item>[];
  /** A dialog to make one (no item), or to change one. */
  form: (item: Item | undefined, close: () => void) => ReactNode;
  changeable?: boolean;
  /** What can be done with one besides. */
  actions?: (item: Item) => IAction[];
  removal: Removal<Item>;
}

type Open<Item> = { form: "make" } | { form: "change" | "delete"; item: Item } | null;

export function NounPage<Item extends { id: string; name: string; revision: number }>(props: NounProps<Item>) {
  const [open, setOpen] = useState<Open<Item>>(null);
  const close = () => {
    setOpen(null);
    props.removal.reset();
  };
  const actions = (item: Item): IAction[] => [
    ...(props.changeable === false ? [] : [{ title: "Change …", onClick: () => setOpen({ form: "change", item }) }]),
    ...(props.actions?.(item) ?? []),
    { title: "Delete …", isDanger: true, onClick: () => setOpen({ form: "delete", item }) },
  ];
  return (
    <>
      <Heading
        title={props.title}
        about={props.about}
        actions={props.mayCreate && <Button onClick={() => setOpen({ form: "make" })}>{props.create}</Button>}
      />
      <PageSection hasBodyWrapper={false}>
        <Loaded of={props.of}>
          {({ items }) =>
            items.length === 0 ? (
              <Nothing
                icon={props.icon}
                title={`No ${props.one} yet`}
                action={props.mayCreate ? { label: props.create, onClick: () => setOpen({ form: "make" }) } : undefined}
              >
                {props.empty}
              </Nothing>
            ) : (
              <Table variant="compact" aria-label={props.title}>
                <Thead>
                  <Tr>
                    {props.columns.map((column) => (
                      <Th key={column.title}>{column.title}</Th>
                    ))}
                    <Th screenReaderText="Actions" />
                  </Tr>
                </Thead>
                <Tbody>
                  {items.map((item) => (
                    <Tr key={item.id}>
                      {props.columns.map((column) => (
                        <Td key={column.title} dataLabel={column.title}>
                          {column.cell(item)}
                        </Td>
                      ))}
                      <Td isActionCell>
                        {props.mayChange(item) && <RowActions name={item.name} items={actions(item)} />}
                      </Td>
                    </Tr>
                  ))}
                </Tbody>
              </Table>
            )
          }
        </Loaded>
      </PageSection>
      {open?.form === "make" && props.form(undefined, close)}
      {open?.form === "change" && props.form(open.item, close)}
      {open?.form === "delete" && (
        <ConfirmByName
          title={`Delete ${props.one} ${open.item.name}?`}
          name={open.item.name}
          verb="Delete"
          busy={props.removal.busy}
          error={props.removal.error}
          reasoned={props.removal.reasoned}
          onConfirm={(reason) => props.removal.onConfirm(open.item, close, reason)}
          onClose={close}
        >
          <Content component="p">{props.removal.warning}</Content>
        </ConfirmByName>
      )}
    </>
  );
}
