// What became of the ballot, in words, announced as soon as it is known.
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";

const icons = { counted: "check", changed: "check", repeated: "check", kept: "wait", rate_limited: "wait" };
const tones = { check: "good", wait: "warn" };

export function Outcome({ ballot }) {
  const { t, has } = useTexts();
  const outcome = ballot.outcome === "sending" ? null : ballot.outcome;
  const key = has(`outcome.${outcome}`) ? `outcome.${outcome}` : "outcome.failed";
  const tone = tones[icons[outcome]] ?? "bad";
  // The region is there before its text: only then do screen readers speak the text.
  return (
    <div role="status" className="outcome">
      {outcome && (
        <p className={`note ${tone}`}>
          <Icon name={icons[outcome] ?? "alert"} /> <span>{t(key)}</span>
        </p>
      )}
    </div>
  );
}
