import { useLayoutEffect, useRef } from "react";

// Calls `actions[key]` for keys that are pressed alone, while `isListening`. Keys that are typed
// into a field, or come with Ctrl, Alt or Meta, are not ours.
export function useKeys(isListening, actions) {
  const newest = useRef(actions);
  newest.current = actions;
  // Before the new poll is seen: a key that is pressed at its sight must not be lost.
  useLayoutEffect(() => {
    if (!isListening) return undefined;
    function onKey(event) {
      if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
      if (event.target.closest?.("input, textarea, select, dialog")) return;
      const act = newest.current[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act) return;
      event.preventDefault();
      act();
    }
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [isListening]);
}
