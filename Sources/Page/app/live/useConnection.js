// How the page is connected, as the client tells it: `{status, since}`.
import { useSyncExternalStore } from "react";
import { client } from "../gateway.js";

const listen = (listener) => client.on("connection", listener);

export const useConnection = () => useSyncExternalStore(listen, () => client.connection);
