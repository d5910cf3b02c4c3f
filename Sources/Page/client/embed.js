// For other sites: <script src="https://polls.example/embed.js" data-poll="7" async></script>
// puts the poll where the script stands, as high as it needs to be.
const script = document.currentScript;
const origin = new URL(script.src).origin;
const frame = document.createElement("iframe");

frame.src = `${origin}/embed/${encodeURIComponent(script.dataset.poll)}`;
frame.title = script.dataset.title ?? "Poll";
frame.loading = "lazy";
frame.style.cssText = "display:block;width:100%;height:20rem;border:0";
script.after(frame);

addEventListener("message", ({ data, source, origin: sender }) => {
  if (source !== frame.contentWindow || sender !== origin) return;
  const height = data?.pollstream === "height" ? Number(data.height) : NaN;
  if (height > 0 && height < 20_000) frame.style.height = `${Math.ceil(height)}px`;
});
