// Small pictures beside words, never in their place; drawn in the colour of the text.
const paths = {
  check: "M4 12.5l5 5L20 6.5",
  star: "M12 3l2.7 5.8 6.3.8-4.6 4.3 1.2 6.2L12 17l-5.6 3.1 1.2-6.2L3 9.6l6.3-.8z",
  wait: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M12 7v5.5l3.5 2",
  alert: "M12 3.5L22 20.5H2zM12 10v5M12 17.6v.4",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  hidden: "M3 12s3.5-6 9-6s9 6 9 6s-3.5 6-9 6s-9-6-9-6M4 20L20 4",
  live: "M12 9.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 0 0 0-5M7 7a7 7 0 0 0 0 10M17 7a7 7 0 0 1 0 10",
  people: "M9 5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7M2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6M16 6a3 3 0 0 1 0 6M18 14.5c2 .8 3.5 2.5 3.5 5.5",
  up: "M12 20V4M5 11l7-7l7 7",
  down: "M12 4v16M5 13l7 7l7-7",
  close: "M5 5l14 14M19 5L5 19",
  plus: "M12 4v16M4 12h16",
  flag: "M6 21V4h12l-3 4.5l3 4.5H6",
  screen: "M3 5h18v12H3zM8 21h8M12 17v4",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  key: "M8 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8M12 12h9M18 12v4M15 12v3",
  reload: "M20 5v5h-5M20 10a8 8 0 1 0 .5 5",
};

export function Icon({ name }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
