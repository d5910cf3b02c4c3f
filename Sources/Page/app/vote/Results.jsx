// The options with their counts, without anything to choose.
import { OptionRow } from "./OptionRow.jsx";
import { leaders } from "./leaders.js";

export function Results({ poll, ballot }) {
  const leading = leaders(poll);
  return (
    <ol className="options">
      {poll.options.map((option, index) => (
        <OptionRow
          key={option.id} option={option} index={index} poll={poll}
          isMine={(ballot?.chosen ?? []).includes(option.id)}
          isLeading={leading.has(option.id)}
        />
      ))}
    </ol>
  );
}
