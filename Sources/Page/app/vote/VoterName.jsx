// Asks who votes, once, where the poll wants names; and lets the name be changed.
import { useState } from "react";
import { Field } from "../parts/Field.jsx";
import { recall, remember } from "../storage.js";
import { useTexts } from "../texts/texts.jsx";

export function useVoterName() {
  const [name, setName] = useState(() => recall("name", ""));
  return [name, (wanted) => {
    remember("name", wanted);
    setName(wanted);
  }];
}

export function AskName({ name, onName }) {
  const { t } = useTexts();
  const [text, setText] = useState(name);
  const [isMissing, tellMissing] = useState(false);
  function submit(event) {
    event.preventDefault();
    const wanted = text.trim();
    if (wanted) onName(wanted);
    else tellMissing(true);
  }
  return (
    <form className="card ask-name" onSubmit={submit} noValidate>
      <Field label={t("name.label")} hint={t("name.hint")} problem={isMissing && t("name.missing")}>
        {(field) => (
          <input
            {...field} value={text} maxLength={200} autoComplete="nickname" required
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      <button className="button primary">{t("name.continue")}</button>
    </form>
  );
}

export function NameShown({ name, onChange }) {
  const { t } = useTexts();
  return (
    <p className="soft name-shown">
      {t("name.votingAs", { name })}{" "}
      <button type="button" className="link-button" onClick={onChange}>{t("name.change")}</button>
    </p>
  );
}
