// How many voted, how many watch, how fast it goes.
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";
import { areCountsHidden } from "./phase.js";

export function LiveFigures({ live: { poll, viewers, votesPerSecond } }) {
  const { t, number } = useTexts();
  return (
    <dl className="figures-line">
      <Figure name={t("figures.votes")}>
        {areCountsHidden(poll) ? <><Icon name="hidden" /> {t("results.hiddenShort")}</> : number(poll.total_votes)}
      </Figure>
      {viewers !== null && <Figure name={t("figures.viewers")}>{number(viewers)}</Figure>}
      {poll.state === "open" && !areCountsHidden(poll) &&
        <Figure name={t("figures.rate")}>{number(votesPerSecond)}</Figure>}
    </dl>
  );
}

function Figure({ name, children }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}
