import { Shell } from "./parts/Shell.jsx";
import { Trouble } from "./parts/Trouble.jsx";
import { useRoute } from "./route.js";
import { EmbedScreen } from "./screens/EmbedScreen.jsx";
import { HostedScreen } from "./screens/HostedScreen.jsx";
import { HostScreen } from "./screens/HostScreen.jsx";
import { JoinScreen } from "./screens/JoinScreen.jsx";
import { PollScreen } from "./screens/PollScreen.jsx";
import { PresentScreen } from "./screens/PresentScreen.jsx";

export function App() {
  const route = useRoute();
  if (route.screen === "present") return <PresentScreen key={route.id} id={route.id} />;
  if (route.screen === "embed") return <EmbedScreen id={route.id} />;
  return <Shell screen={route.screen}><Screen route={route} /></Shell>;
}

// Keyed by poll: what was marked in one poll is nothing to the next.
function Screen({ route: { screen, id, query } }) {
  switch (screen) {
    case "join": return <JoinScreen />;
    case "poll": return <PollScreen key={id} id={id} />;
    case "host": return <HostScreen key={query.has("new")} isCreating={query.has("new")} />;
    case "hosted": return <HostedScreen key={id} id={id} />;
    default: return <Trouble kind="nothing" />;
  }
}
