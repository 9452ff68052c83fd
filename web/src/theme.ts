/** Light or dark: what the person chose, else what the system prefers. `public/theme.js` sets it before the first paint. */
import { useSyncExternalStore } from "react";

const KEY = "ringfence.theme";
const CLASS = "pf-v6-theme-dark";

export function isDark(): boolean {
  return document.documentElement.classList.contains(CLASS);
}

export function setDark(dark: boolean): void {
  localStorage.setItem(KEY, dark ? "dark" : "light");
  document.documentElement.classList.toggle(CLASS, dark);
}

export function useDark(): boolean {
  return useSyncExternalStore((tell) => {
    const watching = new MutationObserver(tell);
    watching.observe(document.documentElement, { attributeFilter: ["class"] });
    return () => watching.disconnect();
  }, isDark);
}
