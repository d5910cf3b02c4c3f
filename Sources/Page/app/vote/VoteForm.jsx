// The choices of an open poll, as large as a thumb wants them.
import { useEffect, useState } from "react";
import { OptionRow } from "./OptionRow.jsx";
import { cast } from "./ballots.js";
import { hasVotedFor } from "./phase.js";
import { useTexts } from "../texts/texts.jsx";

export function VoteForm({ poll, ballot, voter }) {
  const { t } = useTexts();
  const isMultiple = poll.kind === "multiple";
  const known = ballot.waiting ?? ballot.chosen ?? [];
  const [marked, setMarked] = useState(() => new Set(known));
  const [isEmptyTold, tellEmpty] = useState(false);

  // A host replaced the options: marks of the old ones mean nothing.
  const optionKey = poll.options.map((option) => option.id).join();
  useEffect(() => {
    setMarked((before) => new Set(poll.options.map((o) => o.id).filter((id) => before.has(id))));
  }, [optionKey]);

  const isFull = isMultiple && marked.size >= poll.max_choices;
  const isSending = ballot.outcome === "sending";
  const isAgain = hasVotedFor(poll, ballot);

  function mark(id, isOn) {
    tellEmpty(false);
    if (!isMultiple) return setMarked(new Set([id]));
    const next = new Set(marked);
    if (isOn) next.add(id);
    else next.delete(id);
    setMarked(next);
  }

  function submit(event) {
    event.preventDefault();
    if (marked.size === 0) return tellEmpty(true);
    // In the order of the poll, so that the same choice is the same ballot.
    cast(poll.id, poll.options.map((o) => o.id).filter((id) => marked.has(id)), voter);
  }

  return (
    <form className="vote" onSubmit={submit} noValidate>
      <fieldset aria-describedby={isEmptyTold ? "vote-empty" : undefined}>
        <legend className="hint">
          {isMultiple ? t("vote.chooseSome", { count: poll.max_choices }) : t("vote.chooseOne")}
          {isMultiple && <span aria-live="polite"> {t("vote.marked", { count: marked.size })}</span>}
        </legend>
        <ol className="options">
          {poll.options.map((option, index) => (
            <OptionRow
              key={option.id} option={option} index={index} poll={poll}
              isMine={isAgain && (ballot.chosen ?? []).includes(option.id)}
              input={{
                type: isMultiple ? "checkbox" : "radio",
                name: "choice",
                checked: marked.has(option.id),
                disabled: isFull && !marked.has(option.id),
                "aria-invalid": isEmptyTold || undefined,
                onChange: (event) => mark(option.id, event.target.checked),
              }}
            />
          ))}
        </ol>
      </fieldset>
      {isEmptyTold && <p id="vote-empty" className="problem" role="alert">{t("vote.empty")}</p>}
      <div className="vote-bar">
        <button className="button primary wide" disabled={isSending}>
          {isSending ? t("vote.sending") : t(isAgain ? "vote.change" : "vote.cast")}
        </button>
      </div>
    </form>
  );
}
