// The draft as the audience will see it. To look at only: nothing in it can be reached or is read.
import { useTexts } from "../texts/texts.jsx";
import { Explanation } from "../vote/Explanation.jsx";
import { OptionRow } from "../vote/OptionRow.jsx";
import { StateBadge } from "../parts/StateBadge.jsx";
import { previewOf } from "./draft.js";

const noBallot = { chosen: null, waiting: null, outcome: null };

export function Preview({ draft }) {
  const { t } = useTexts();
  const poll = previewOf(draft, {
    title: t("create.question"),
    option: (index) => t("create.option", { place: index + 1 }),
  });
  return (
    <section className="preview" aria-label={t("create.preview")}>
      <p className="preview-name" aria-hidden="true">{t("create.preview")}</p>
      <div className="preview-screen" aria-hidden="true">
        <div className="poll-head"><StateBadge state={poll.state} /></div>
        <p className="question">{poll.title}</p>
        {poll.description && <p className="description">{poll.description}</p>}
        <Explanation poll={poll} ballot={noBallot} phase={poll.state} />
        <p className="hint">
          {poll.kind === "multiple" ? t("vote.chooseSome", { count: poll.max_choices }) : t("vote.chooseOne")}
        </p>
        <ol className="options">
          {poll.options.map((option, index) => (
            <OptionRow key={option.id} option={option} index={index} poll={poll} />
          ))}
        </ol>
        <p className="button primary wide">{t("vote.cast")}</p>
      </div>
    </section>
  );
}
