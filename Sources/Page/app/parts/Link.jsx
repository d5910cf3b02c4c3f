import { navigate } from "../route.js";

// A link within the application: a plain click changes the screen without a new document; every
// other click (a new tab, a download) stays the browser's.
export function Link({ to, children, ...attributes }) {
  function follow(event) {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  }
  return <a href={to} onClick={follow} {...attributes}>{children}</a>;
}
