/** Form fields, each with its label, its help, and what is wrong with it. */
import {
  FormGroup,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  HelperText,
  HelperTextItem,
  TextArea,
  TextInput,
} from "@patternfly/react-core";
import { type ReactNode, useId } from "react";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  help?: ReactNode;
  wrong?: string | false;
  required?: boolean;
}

export function TextField(props: FieldProps & { type?: "text" | "number" | "password" | "url"; autoFocus?: boolean; complete?: string }) {
  const id = useId();
  return (
    <FormGroup label={props.label} fieldId={id} isRequired={props.required}>
      <TextInput
        id={id}
        type={props.type ?? "text"}
        value={props.value}
        onChange={(_, value) => props.onChange(value)}
        validated={props.wrong ? "error" : "default"}
        isRequired={props.required}
        autoFocus={props.autoFocus}
        autoComplete={props.complete ?? "off"}
        spellCheck={false}
        aria-describedby={`${id}-help`}
      />
      <Help id={`${id}-help`} help={props.help} wrong={props.wrong} />
    </FormGroup>
  );
}

export function NameField(props: Omit<FieldProps, "label" | "wrong" | "help"> & { label?: string; help?: ReactNode }) {
  return (
    <TextField
      {...props}
      label={props.label ?? "Name"}
      required
      autoFocus
      help={props.help ?? "Lower-case letters, digits and hyphens."}
      wrong={props.value !== "" && !isName(props.value) && "1 to 63 lower-case letters, digits and hyphens, no hyphen at an end."}
    />
  );
}

export function LinesField(props: FieldProps & { rows?: number }) {
  const id = useId();
  return (
    <FormGroup label={props.label} fieldId={id} isRequired={props.required}>
      <TextArea
        id={id}
        value={props.value}
        rows={props.rows ?? 4}
        onChange={(_, value) => props.onChange(value)}
        validated={props.wrong ? "error" : "default"}
        resizeOrientation="vertical"
        spellCheck={false}
        aria-describedby={`${id}-help`}
      />
      <Help id={`${id}-help`} help={props.help} wrong={props.wrong} />
    </FormGroup>
  );
}

export interface Choice {
  value: string;
  label: string;
}

export function ChoiceField(props: FieldProps & { choices: readonly Choice[]; none?: string }) {
  const id = useId();
  return (
    <FormGroup label={props.label} fieldId={id} isRequired={props.required}>
      <FormSelect
        id={id}
        value={props.value}
        onChange={(_, value) => props.onChange(value)}
        validated={props.wrong ? "error" : "default"}
        isRequired={props.required}
        aria-describedby={`${id}-help`}
      >
        {props.none !== undefined && <FormSelectOption value="" label={props.none} />}
        {props.choices.map((choice) => (
          <FormSelectOption key={choice.value} value={choice.value} label={choice.label} />
        ))}
      </FormSelect>
      <Help id={`${id}-help`} help={props.help} wrong={props.wrong} />
    </FormGroup>
  );
}

function Help({ id, help, wrong }: { id: string; help?: ReactNode; wrong?: string | false }) {
  if (!help && !wrong) return null;
  return (
    <FormHelperText>
      <HelperText id={id}>
        <HelperTextItem variant={wrong ? "error" : "default"}>{wrong || help}</HelperTextItem>
      </HelperText>
    </FormHelperText>
  );
}
