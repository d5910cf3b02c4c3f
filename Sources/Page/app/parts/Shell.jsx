// What stands around every screen but the presentation and the embedded poll.
import { LanguageSwitch } from "./LanguageSwitch.jsx";
import { Link } from "./Link.jsx";
import { useTexts } from "../texts/texts.jsx";

export function Shell({ screen, children }) {
  const { t } = useTexts();
  const current = (name) => (screen === name ? "page" : undefined);
  return (
    <>
      <a className="skip" href="#main">{t("shell.skip")}</a>
      <header className="shell-header">
        <Link className="brand" to="/">
          <span className="brand-mark" aria-hidden="true"><i /><i /><i /></span>PollStream
        </Link>
        <nav aria-label={t("shell.navigation")}>
          <Link to="/" aria-current={current("join")}>{t("shell.join")}</Link>
          <Link to="/host" aria-current={current("host")}>{t("shell.host")}</Link>
        </nav>
        <LanguageSwitch />
      </header>
      <main id="main" tabIndex={-1}>{children}</main>
    </>
  );
}
