import { Dialog } from "../parts/Dialog.jsx";
import { useTexts } from "../texts/texts.jsx";

const keys = [
  [["s"], "start"], [["c"], "close"], [["n", "→"], "next"], [["p", "←"], "previous"],
  [["h"], "hide"], [["f"], "full"], [["?"], "help"],
];

export function KeyHelp({ onClose }) {
  const { t } = useTexts();
  return (
    <Dialog title={t("present.keys")} onClose={onClose}>
      <dl className="keys">
        {keys.map(([names, action]) => (
          <div key={action}>
            <dt>{names.map((name) => <kbd key={name}>{name}</kbd>)}</dt>
            <dd>{t(`key.${action}`)}</dd>
          </div>
        ))}
      </dl>
      <div className="actions end">
        <button type="button" className="button primary" autoFocus onClick={onClose}>{t("dialog.done")}</button>
      </div>
    </Dialog>
  );
}
