// Before the first paint, so that a dark page does not flash white. The switch itself is in src/theme.ts.
const wanted = localStorage.getItem("ringfence.theme");
const dark = wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("pf-v6-theme-dark", dark);
