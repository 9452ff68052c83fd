import { SearchInput } from "@patternfly/react-core";
import { useEffect, useRef, useState } from "react";

const SETTLES_MS = 300;

interface SearchProps {
  label: string;
  value: string | undefined;
  onSet: (text: string) => void;
}

/** A field to search by: told once typing rests, and rewritten when what is searched for changes elsewhere. */
export function Search({ label, value = "", onSet }: SearchProps) {
  const [typed, setTyped] = useState(value);
  const told = useRef(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const tell = useRef(onSet);
  tell.current = onSet;
  useEffect(() => {
    if (value === told.current) return;
    clearTimeout(timer.current);
    told.current = value;
    setTyped(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (text: string) => {
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      told.current = text.trim();
      tell.current(told.current);
    }, SETTLES_MS);
  };
  return (
    <SearchInput aria-label={label} placeholder={label} value={typed} onChange={(_, text) => type(text)} onClear={() => type("")} />
  );
}
