/**
 * Lets xterm.js style itself under a policy that allows no inline styles.
 *
 * It makes <style> elements, which such a policy ignores, and offers a document of one's own for it to make them with.
 * This one gives it stand-ins whose text becomes a constructed style sheet: those are script's own, and need no exception.
 */
export function styledDocument(real: Document): Document {
  return new Proxy(real, {
    get(target, name) {
      if (name === "createElement") {
        return (tag: string) => (tag === "style" ? standIn(target) : target.createElement(tag));
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as (...given: unknown[]) => unknown).bind(target) : value;
    },
  });
}

function standIn(of: Document): HTMLElement {
  const element = of.createElement("span");
  const sheet = new CSSStyleSheet();
  let text = "";
  element.hidden = true;
  of.adoptedStyleSheets = [...of.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (css: string) => {
      text = css;
      sheet.replaceSync(css);
    },
  });
  const remove = element.remove.bind(element);
  element.remove = () => {
    of.adoptedStyleSheets = of.adoptedStyleSheets.filter((one) => one !== sheet);
    remove();
  };
  return element;
}
