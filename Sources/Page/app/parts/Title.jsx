import { useEffect, useRef } from "react";

// The heading of a screen. After a change of screen the focus goes there, so that a screen reader
// starts to read where a new document would have started.
let isFirstScreen = true;

export function Title({ children, className }) {
  const heading = useRef(null);
  useEffect(() => {
    if (!isFirstScreen) heading.current.focus({ preventScroll: true });
    isFirstScreen = false;
  }, []);
  return <h1 ref={heading} tabIndex={-1} className={className}>{children}</h1>;
}

export function useDocumentTitle(title) {
  useEffect(() => { document.title = title ? `${title} · PollStream` : "PollStream"; }, [title]);
}
