import { useState } from "react";
import { Icon } from "./Icon.jsx";
import { useTexts } from "../texts/texts.jsx";

export function CopyButton({ text, children }) {
  const { t } = useTexts();
  const [outcome, tell] = useState("");
  async function copy() {
    tell(await isCopied(text) ? t("copy.done") : t("copy.failed", { text }));
    setTimeout(() => tell(""), 6000);
  }
  return (
    <>
      <button type="button" className="button" onClick={copy}><Icon name="copy" /> {children}</button>
      <span role="status" className="soft">{outcome}</span>
    </>
  );
}

// The clipboard's own interface is there only over https and on localhost; events run on plain
// http in local networks too, where a selected field still copies.
async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
}
