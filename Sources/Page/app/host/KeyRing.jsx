// The host keys of this browser, out to a file and in from one: another browser, another day.
import { useRef, useState } from "react";
import { Icon } from "../parts/Icon.jsx";
import { useTexts } from "../texts/texts.jsx";
import { hostKeys, useHostKeys } from "./hostKeys.js";
import { saveFile } from "./saveFile.js";

export function KeyRing() {
  const { t } = useTexts();
  const keys = useHostKeys();
  const picker = useRef(null);
  const [outcome, tell] = useState("");

  async function load(event) {
    const [file] = event.target.files;
    event.target.value = "";   // the same file may be picked again
    if (!file) return;
    try {
      tell(t("keys.imported", { count: hostKeys.importFrom(await file.text()) }));
    } catch {
      tell(t("keys.unreadable"));
    }
  }

  return (
    <section className="card key-ring" aria-labelledby="key-ring">
      <h2 id="key-ring"><Icon name="key" /> {t("keys.title")}</h2>
      <p className="soft">{t("keys.text", { count: keys.length })}</p>
      <div className="actions">
        <button
          type="button" className="button" disabled={keys.length === 0}
          onClick={() => saveFile("pollstream-keys.json", new Blob([hostKeys.exported()], { type: "application/json" }))}
        >
          {t("keys.export")}
        </button>
        <button type="button" className="button" onClick={() => picker.current.click()}>{t("keys.import")}</button>
        <input
          ref={picker} type="file" accept="application/json,.json" hidden onChange={load}
          aria-label={t("keys.import")}
        />
        <span role="status">{outcome}</span>
      </div>
    </section>
  );
}
