"""All bytes of one connection, by number: the same seed and number are the same session, but for
the keys that the gateway made up, which are as long every time."""

import enum
from dataclasses import dataclass
from random import Random

from mutation import mutated
from seeds import Requests, Site, Sockets, noise, proxy_header


class End(enum.Enum):
    """How a session goes once all is sent."""

    FINISH = "sends FIN and reads the rest"
    LEAVE = "closes without reading"
    RESET = "resets at once"
    RESET_LATER = "resets while it is answered"
    STAY = "reads nothing any more, for as long as others come and go"


ENDS = {End.FINISH: 70, End.LEAVE: 8, End.RESET: 6, End.RESET_LATER: 10, End.STAY: 6}
# How much of a session is changed, and how often. One wrong message mostly ends the connection, so
# that what is behind it is never read: the more are changed, the fewer there are.
SHARES = {0.0: 35, 0.05: 25, 0.2: 25, 0.6: 15}
LENGTHS = {0.0: (1, 4, 16, 60), 0.05: (1, 8, 20, 40), 0.2: (2, 4, 8), 0.6: (1, 2, 4)}


@dataclass(frozen=True)
class Session:
    pieces: list[bytes]  # each is written apart
    message_count: int  # requests, frames and headers, as many as begin
    end: End


class Sessions:
    """An endless row of them about `site`."""

    def __init__(self, seed: str, site: Site):
        self.seed = seed
        self.requests = Requests(site)
        self.sockets = Sockets(site)

    def __getitem__(self, number: int) -> Session:
        random = Random(f"{self.seed}/{number}")
        (share,) = random.choices(list(SHARES), SHARES.values())
        messages = self._messages(random, share)
        if share and random.random() < 0.3:
            self._disorder(messages, random)
        messages = [mutated(each, random) if random.random() < share else each for each in messages]
        if random.random() < 0.15:
            header = proxy_header(random)
            messages.insert(0, mutated(header, random) if random.random() < share else header)
        (end,) = random.choices(list(ENDS), ENDS.values())
        if random.random() < 0.1:
            messages = self._cut_off(messages, random)
        return Session(self._pieces(b"".join(messages), random), len(messages), end)

    def _messages(self, random: Random, share: float) -> list[bytes]:
        kind = random.random()
        count = random.choice(LENGTHS[share])
        if kind < 0.45:
            return [self.requests.one(random) for _ in range(count)]
        if kind < 0.92:
            return self._socket(random, share, count)
        if kind < 0.97:
            return [self.requests.events(random), self.requests.one(random)]
        return [noise(random), self.requests.one(random)]

    def _socket(self, random: Random, share: float, count: int) -> list[bytes]:
        handshake, deflates = self.sockets.handshake(random)
        messages = [handshake]
        for _ in range(count):
            payload = self.sockets.document(random)
            # In a frame that is right: what is wrong is then the message's own.
            if random.random() < share:
                payload = mutated(payload, random)
            messages.append(self.sockets.frames(random, payload, deflates))
        return messages

    def _disorder(self, messages: list[bytes], random: Random):
        place = random.randrange(len(messages))
        match random.randrange(5):
            case 0:
                random.shuffle(messages)
            case 1:
                messages.insert(place, random.choice(messages))
            case 2 if len(messages) > 1:
                del messages[place]
            case 3:
                messages.insert(place, self.requests.one(random))
            case _:
                payload = self.sockets.document(random)
                messages.insert(place, self.sockets.frames(random, payload, False))

    @staticmethod
    def _cut_off(messages: list[bytes], random: Random) -> list[bytes]:
        """The same up to some byte of some message."""
        last = random.randrange(len(messages))
        return messages[:last] + [messages[last][: random.randint(0, len(messages[last]))]]

    @staticmethod
    def _pieces(data: bytes, random: Random) -> list[bytes]:
        if random.random() < 0.02:
            return [data[place : place + 1] for place in range(min(len(data), 300))] + [data[300:]]
        count = random.choice((0, 0, 0, 1, 2, 5))
        cuts = sorted(random.randint(0, len(data)) for _ in range(count))
        starts, ends = [0, *cuts], [*cuts, len(data)]
        return [data[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
