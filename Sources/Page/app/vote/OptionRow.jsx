// One option with its bar: a choice while `input` is given, a result otherwise.
import { areCountsHidden, letterOf } from "./phase.js";
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";

export function OptionRow({ option, index, poll, isMine, isLeading, input }) {
  const { t, percent } = useTexts();
  const isHidden = areCountsHidden(poll);
  const share = poll.total_votes > 0 ? option.vote_count / poll.total_votes : 0;
  const Frame = input ? "label" : "div";
  return (
    <li className="option-item">
      <Frame className={["option", isMine && "mine", isLeading && "leading"].filter(Boolean).join(" ")}>
        {input && <input {...input} />}
        <span className="letter" aria-hidden="true">{letterOf(index)}</span>
        <span className="option-text">
          {option.text}
          {isMine && <span className="tag"><Icon name="check" /> {t("vote.mine")}</span>}
          {isLeading && <span className="tag lead"><Icon name="star" /> {t(poll.state === "closed" ? "results.most" : "results.leading")}</span>}
        </span>
        {!isHidden && (
          <span className="figures">
            <strong>{percent(share)}</strong>
            <span>{t("results.votes", { count: option.vote_count })}</span>
          </span>
        )}
        {!isHidden && <Bar share={share} />}
      </Frame>
    </li>
  );
}

// Moved by a transform alone, which costs no layout. What it shows stands beside it as text.
export function Bar({ share }) {
  return (
    <span className="bar" aria-hidden="true">
      <span className="bar-fill" style={{ transform: `translateX(${(share - 1) * 100}%)` }} />
    </span>
  );
}
