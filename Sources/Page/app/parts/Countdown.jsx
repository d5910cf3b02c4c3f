// How long until a moment, second by second. What happens then, the gateway says.
import { useNow } from "../live/useNow.js";
import { useTexts } from "../texts/texts.jsx";

export function Countdown({ until }) {
  const { days } = useTexts();
  const now = useNow(true);
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
  // Nobody counts the seconds of a day that is not today.
  const shown = seconds >= 172_800 ? days(Math.floor(seconds / 86_400)) : clockOf(seconds);
  // Read as a time where it stands, but not announced each second.
  return <time className="countdown" role="timer" aria-live="off" dateTime={until}>{shown}</time>;
}

function clockOf(seconds) {
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (seconds >= 3600) parts.unshift(Math.floor(seconds / 3600));
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
