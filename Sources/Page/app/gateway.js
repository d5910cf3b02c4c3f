// The one connection of this page to its gateway.
import { PollStream } from "../client/pollstream.js";
import { hostKeys } from "./host/hostKeys.js";

export const client = new PollStream(location.origin, { hostKeys: hostKeys.byPoll });

// Where a poll is found, as an address to send around.
export const joinLink = (poll) => `${location.origin}/join/${poll.join_code}`;
