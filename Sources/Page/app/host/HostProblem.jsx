import { Problem } from "../parts/Field.jsx";
import { useTexts } from "../texts/texts.jsx";

// What went wrong with a host's call, with what to do.
export function HostProblem({ code }) {
  const { t, has } = useTexts();
  if (!code) return null;
  return <Problem>{t(has(`error.${code}`) ? `error.${code}` : "error.other")}</Problem>;
}
