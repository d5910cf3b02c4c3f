// Between RFC 3339 in UTC, as the gateway speaks, and what `<input type="datetime-local">` holds.

export function inLocalTime(time) {
  const moment = new Date(time);
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}

// Null for an empty or unreadable field.
export function toUTC(local) {
  const moment = new Date(local);
  return local && !Number.isNaN(moment.getTime()) ? moment.toISOString() : null;
}
