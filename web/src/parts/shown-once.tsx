import { ClipboardCopy, Content } from "@patternfly/react-core";
import type { ReactNode } from "react";

import { FormDialog } from "./dialogs";

interface ShownOnceProps {
  title: string;
  /** What it is for, and until when. */
  children: ReactNode;
  label: string;
  secret: string;
  onClose: () => void;
}

/** A secret just made: here to be copied, and nowhere afterwards. */
export function ShownOnce({ title, children, label, secret, onClose }: ShownOnceProps) {
  return (
    <FormDialog title={title} submit="Done" busy={false} error={null} onSubmit={onClose} onClose={onClose} wide>
      <Content component="p">{children} It is not shown again.</Content>
      <ClipboardCopy isReadOnly hoverTip="Copy" clickTip="Copied" textAriaLabel={label}>
        {secret}
      </ClipboardCopy>
    </FormDialog>
  );
}
