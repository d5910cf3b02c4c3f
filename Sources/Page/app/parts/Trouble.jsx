// Something is not there, said in words with what to do about it.
import { Icon } from "./Icon.jsx";
import { Link } from "./Link.jsx";
import { Title } from "./Title.jsx";
import { useTexts } from "../texts/texts.jsx";

// `kind` names the texts: unknown, deleted, away, limited, nothing.
export function Trouble({ kind, children }) {
  const { t } = useTexts();
  return (
    <section className="card trouble" role="alert">
      <Title><Icon name="alert" /> {t(`trouble.${kind}.title`)}</Title>
      <p>{t(`trouble.${kind}.text`)}</p>
      {children ?? <p><Link className="button" to="/">{t("trouble.home")}</Link></p>}
    </section>
  );
}

export const troubleOf = (code) => ({
  poll_not_found: "unknown", deleted: "deleted", rate_limited: "limited",
})[code] ?? "away";
