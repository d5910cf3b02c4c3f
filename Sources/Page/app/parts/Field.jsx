// A label, its input, a hint and what is wrong with it, bound together for those who cannot see
// that they stand together. `children` draws the input from the attributes it is given.
import { useId } from "react";
import { Icon } from "./Icon.jsx";

export function Field({ label, hint, problem, children, className = "" }) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id}>{label}</label>
      {hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
      {children({
        id,
        "aria-describedby": described || undefined,
        "aria-invalid": problem ? true : undefined,
      })}
      {problem && <Problem id={`${id}-problem`}>{problem}</Problem>}
    </div>
  );
}

export function Problem({ id, children }) {
  return <p id={id} className="problem" role="alert"><Icon name="alert" /> {children}</p>;
}
