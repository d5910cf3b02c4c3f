// The web application: what an audience and a host see. The gateway serves one document for every
// screen; App picks the screen by the path.
import { createRoot } from "react-dom/client";
import { App } from "./App.jsx";
import { TextsProvider } from "./texts/texts.jsx";
import "./main.css";

createRoot(document.getElementById("root")).render(
  <TextsProvider>
    <App />
  </TextsProvider>,
);
