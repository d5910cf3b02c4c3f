// Some gateways let only those create polls who hold their admin key.
import { useState } from "react";
import { Field } from "../parts/Field.jsx";
import { useTexts } from "../texts/texts.jsx";

// Until the page goes away and no longer: it opens more than one poll.
let key = null;
export const adminKey = { get: () => key };

export function AdminKeyField({ wasRefused }) {
  const { t } = useTexts();
  const [text, setText] = useState(key ?? "");
  return (
    <Field label={t("admin.label")} hint={t("admin.hint")} problem={wasRefused && t("admin.refused")}>
      {(field) => (
        <input
          {...field} type="password" value={text} autoComplete="off" required
          onChange={(event) => { key = event.target.value.trim() || null; setText(event.target.value); }}
        />
      )}
    </Field>
  );
}
