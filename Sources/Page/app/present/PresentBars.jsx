// The options as bars that fill the screen, whatever their number: two columns from nine on.
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";
import { leaders } from "../vote/leaders.js";
import { areCountsHidden, letterOf } from "../vote/phase.js";
import { useFit } from "./useFit.js";
import { Bar } from "../vote/OptionRow.jsx";

export function PresentBars({ poll, isHiding }) {
  const { t, percent } = useTexts();
  const isShown = !isHiding && !areCountsHidden(poll);
  const leading = isShown ? leaders(poll) : new Set();
  const columns = poll.options.length > 8 ? 2 : 1;
  const rows = Math.ceil(poll.options.length / columns);
  const texts = poll.options.map((option) => option.text).join("\n");
  // Numbers of another length need another width.
  const list = useFit(`${texts} ${poll.title} ${poll.state} ${isShown && String(poll.total_votes).length}`);
  const why = isHiding ? t("present.hiding") : areCountsHidden(poll) ? t(`hidden.${poll.results}`) : null;
  return (
    <div className="present-results">
      {why && <p className="present-hidden"><Icon name="hidden" /> {why}</p>}
      {poll.state === "closed" && <p className="present-final"><Icon name="flag" /> {t("results.final")}</p>}
      <ol ref={list} className="present-bars" style={{ "--rows": rows, "--columns": columns }}>
        {poll.options.map((option, index) => {
          const share = poll.total_votes > 0 ? option.vote_count / poll.total_votes : 0;
          return (
            <li key={option.id} className={leading.has(option.id) ? "present-bar leading" : "present-bar"}>
              <span className="letter" aria-hidden="true">{letterOf(index)}</span>
              <span className="present-text">
                {option.text}
                {leading.has(option.id) && (
                  <span className="tag lead">
                    <Icon name="star" /> {t(poll.state === "closed" ? "results.most" : "results.leading")}
                  </span>
                )}
              </span>
              {isShown && (
                <span className="present-figures">
                  <strong>{percent(share)}</strong> <span>{t("results.votes", { count: option.vote_count })}</span>
                </span>
              )}
              <Bar share={isShown ? share : 0} />
            </li>
          );
        })}
      </ol>
    </div>
  );
}
