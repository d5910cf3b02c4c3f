import { useLayoutEffect, useRef } from "react";

const rounds = 9;   // of halving: within a pixel of the best

// The largest size of type, in pixels, at which all of a list shows in the height that it is given:
// two short options fill a screen, twenty long ones still stand on it. Measured anew when the
// screen changes, or `content`: whatever makes lines longer.
export function useFit(content) {
  const list = useRef(null);
  useLayoutEffect(() => {
    const element = list.current;
    function fit() {
      element.style.fontSize = "";
      // Narrow screens scroll instead.
      if (getComputedStyle(element).overflowY !== "hidden") return;
      let [fits, tooLarge] = [8, innerHeight / 14];
      for (let round = 0; round < rounds; round += 1) {
        const size = (fits + tooLarge) / 2;
        element.style.fontSize = `${size}px`;
        if (element.scrollHeight <= element.clientHeight) fits = size;
        else tooLarge = size;
      }
      element.style.fontSize = `${fits}px`;
    }
    fit();
    window.addEventListener("resize", fit);
    return () => window.removeEventListener("resize", fit);
  }, [content]);
  return list;
}
