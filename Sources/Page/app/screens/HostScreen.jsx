// The host's desk: the polls, and making one.
import { CreatePoll } from "../host/CreatePoll.jsx";
import { KeyRing } from "../host/KeyRing.jsx";
import { PollTable } from "../host/PollTable.jsx";
import { Icon } from "../parts/Icon.jsx";
import { Link } from "../parts/Link.jsx";
import { Title, useDocumentTitle } from "../parts/Title.jsx";
import { useTexts } from "../texts/texts.jsx";

export function HostScreen({ isCreating }) {
  const { t } = useTexts();
  useDocumentTitle(t(isCreating ? "create.title" : "host.title"));
  if (isCreating) return <CreatePoll />;
  return (
    <>
      <div className="host-head">
        <Title>{t("host.title")}</Title>
        <Link className="button primary" to="/host?new"><Icon name="plus" /> {t("create.title")}</Link>
      </div>
      <PollTable />
      <KeyRing />
    </>
  );
}
