// Speaks results to screen readers at a bearable rate: the newest, at most once in ten seconds, and
// nothing while they stay as they are. The end of a poll is told at once.
import { useEffect, useRef, useState } from "react";
import { areCountsHidden, letterOf } from "../vote/phase.js";
import { useTexts } from "../texts/texts.jsx";

const quietMilliseconds = 10_000;

export function Announcer({ poll }) {
  const { t } = useTexts();
  const [spoken, speak] = useState("");
  const last = useRef({ at: null, state: null });

  const text = summary(poll, t);
  useEffect(() => {
    if (text === spoken) return undefined;
    const isEnd = last.current.state !== null && last.current.state !== poll.state;
    // Who opens the page reads it; what changes from then on is told.
    last.current.at ??= performance.now();
    last.current.state = poll.state;
    const wait = isEnd ? 0 : Math.max(0, last.current.at + quietMilliseconds - performance.now());
    const timer = setTimeout(() => {
      last.current.at = performance.now();
      speak(text);
    }, wait);
    return () => clearTimeout(timer);
  }, [text, spoken, poll.state]);

  return <p className="only-spoken" aria-live="polite" data-testid="spoken">{spoken}</p>;
}

function summary(poll, t) {
  const state = t(`state.${poll.state}`);
  if (areCountsHidden(poll)) return `${state}.`;
  const counts = poll.options.map(
    (option, index) => `${letterOf(index)}, ${option.text}: ${option.vote_count}`);
  return `${state}. ${t("results.total", { count: poll.total_votes })}. ${counts.join("; ")}.`;
}
