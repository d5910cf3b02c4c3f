// How the audience comes here: link, code, QR, and the projector.
import { joinLink } from "../gateway.js";
import { CopyButton } from "../parts/CopyButton.jsx";
import { Icon } from "../parts/Icon.jsx";
import { Link } from "../parts/Link.jsx";
import { QRCode } from "../parts/QRCode.jsx";
import { useTexts } from "../texts/texts.jsx";

export function Invitation({ poll }) {
  const { t } = useTexts();
  const link = joinLink(poll);
  return (
    <section className="card" aria-labelledby="invitation">
      <h2 id="invitation">{t("invite.title")}</h2>
      <div className="invitation">
        <QRCode text={link} label={t("qr.label", { link })} />
        <div>
          <p><span className="soft">{t("poll.code")}</span><br /><strong className="code big-code">{poll.join_code}</strong></p>
          <p><a href={link} className="break">{link}</a></p>
        </div>
      </div>
      <div className="actions stack">
        <CopyButton text={link}>{t("invite.copy")}</CopyButton>
        <Link className="button" to={`/p/${poll.id}/present`}><Icon name="screen" /> {t("poll.present")}</Link>
        <Link className="button" to={`/p/${poll.id}`}>{t("invite.vote")}</Link>
      </div>
    </section>
  );
}
