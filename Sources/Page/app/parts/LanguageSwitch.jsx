import { languageNames, useTexts } from "../texts/texts.jsx";

export function LanguageSwitch() {
  const { language, setLanguage, t } = useTexts();
  return (
    <select
      className="language" aria-label={t("shell.language")} value={language}
      onChange={(event) => setLanguage(event.target.value)}
    >
      {Object.entries(languageNames).map(([code, name]) => (
        <option key={code} value={code} lang={code}>{name}</option>
      ))}
    </select>
  );
}
