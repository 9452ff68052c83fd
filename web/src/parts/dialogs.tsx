/** Dialogs: forms in one, and what destroys, which is confirmed by typing the name. */
import {
  Button,
  Content,
  Form,
  FormGroup,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  TextInput,
} from "@patternfly/react-core";
import { type FormEvent, type ReactNode, useId, useState } from "react";

import { TextField } from "./fields";
import { ProblemAlert } from "./problems";

interface FormDialogProps {
  title: string;
  description?: ReactNode;
  submit: string;
  danger?: boolean;
  ready?: boolean;
  wide?: boolean;
  busy: boolean;
  error: unknown;
  onSubmit: () => void;
  onClose: () => void;
  children?: ReactNode;
}

/** A form in a dialog: Enter submits, Escape closes, and what was refused is told above the buttons. */
export function FormDialog(props: FormDialogProps) {
  const form = useId();
  const heading = useId();
  const ready = props.ready ?? true;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !props.busy) props.onSubmit();
  };
  return (
    <Modal isOpen variant={props.wide ? "large" : "small"} onClose={props.onClose} aria-labelledby={heading}>
      <ModalHeader
        title={props.title}
        labelId={heading}
        description={props.description}
        titleIconVariant={props.danger ? "warning" : undefined}
      />
      <ModalBody tabIndex={0} aria-label={props.title}>
        <Form id={form} onSubmit={submit}>
          {props.children}
          {props.error !== null && props.error !== undefined && <ProblemAlert error={props.error} />}
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button
          type="submit"
          form={form}
          variant={props.danger ? "danger" : "primary"}
          isDisabled={!ready}
          isLoading={props.busy}
        >
          {props.submit}
        </Button>
        <Button variant="link" onClick={props.onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  );
}

interface ConfirmProps {
  title: string;
  name: string;
  verb: string;
  /** The API asks for a reason, and so does this. */
  reasoned?: boolean;
  busy: boolean;
  error: unknown;
  onConfirm: (reason: string) => void;
  onClose: () => void;
  children: ReactNode;
}

/** Asks for the name of what is to be destroyed; the button is of no use before. */
export function ConfirmByName(props: ConfirmProps) {
  const [typed, setTyped] = useState("");
  const [reason, setReason] = useState("");
  const field = useId();
  return (
    <FormDialog
      title={props.title}
      submit={props.verb}
      danger
      ready={typed === props.name && (!props.reasoned || reason.trim() !== "")}
      busy={props.busy}
      error={props.error}
      onSubmit={() => props.onConfirm(reason.trim())}
      onClose={props.onClose}
    >
      <Content>{props.children}</Content>
      {props.reasoned && (
        <TextField label="Reason" value={reason} onChange={setReason} required autoFocus help="Why this is done. The ledger keeps it." />
      )}
      <FormGroup
        fieldId={field}
        label={
          <>
            Type <strong>{props.name}</strong> to confirm
          </>
        }
      >
        <TextInput id={field} value={typed} onChange={(_, value) => setTyped(value)} autoComplete="off" autoFocus={!props.reasoned} />
      </FormGroup>
    </FormDialog>
  );
}
