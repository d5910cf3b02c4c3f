import { Icon } from "./Icon.jsx";
import { useTexts } from "../texts/texts.jsx";

const icons = { open: "live", scheduled: "wait", closed: "flag" };

export function StateBadge({ state }) {
  const { t } = useTexts();
  return <span className={`badge ${state}`}><Icon name={icons[state]} /> {t(`state.${state}`)}</span>;
}
