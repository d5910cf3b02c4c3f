// A question that must be answered first. The browser's own dialog keeps the focus inside, closes
// with Escape and gives the focus back.
import { useId, useLayoutEffect, useRef } from "react";
import { useTexts } from "../texts/texts.jsx";

export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  const id = useId();
  // Closed while it is still there: only then does the focus go back to where it came from.
  useLayoutEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

export function Confirm({ title, text, action, isDangerous, onConfirm, onClose }) {
  const { t } = useTexts();
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <div className="actions end">
        <button type="button" className="button" autoFocus onClick={onClose}>{t("dialog.cancel")}</button>
        <button
          type="button" className={`button ${isDangerous ? "danger" : "primary"}`}
          onClick={() => { onClose(); onConfirm(); }}
        >
          {action}
        </button>
      </div>
    </Dialog>
  );
}
