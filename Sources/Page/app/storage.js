// What this browser remembers, as JSON under `pollstream.*`. Where storage is refused (private
// windows, frames of other sites) it remembers until the page goes away.
const volatile = new Map();

export function remember(name, value) {
  const text = JSON.stringify(value);
  volatile.set(name, text);
  try {
    localStorage.setItem(`pollstream.${name}`, text);
  } catch { /* Kept above. */ }
}

export function forget(name) {
  volatile.delete(name);
  try {
    localStorage.removeItem(`pollstream.${name}`);
  } catch { /* Gone above. */ }
}

// The value, or `otherwise` where there is none or it cannot be read.
export function recall(name, otherwise = null) {
  let text = volatile.get(name);
  try {
    text = localStorage.getItem(`pollstream.${name}`) ?? text;
  } catch { /* As above. */ }
  if (text === undefined) return otherwise;
  try {
    return JSON.parse(text);
  } catch {
    return otherwise;
  }
}
