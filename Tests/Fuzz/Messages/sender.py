"""Plays sessions over real sockets, many at a time, in one thread."""

import collections
import contextlib
import re
import selectors
import socket
import struct
import time

from sessions import End, Session, Sessions

AT_ONCE = 8
STAYING = 40
# A session that nothing happens to for so long is given up: a stream goes on for ever.
QUIET_SECONDS = 1.0
# 501 and 505 are definite answers to codings and versions that nobody here speaks.
ALLOWED_FAULTS = {501, 503, 505}

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d) [ -~]*\r\n")
_LINGER = struct.pack("ii", 1, 0)


class _Player:
    """One session on its socket."""

    def __init__(self, session: Session, address):
        self.session = session
        self.pieces = collections.deque(session.pieces)
        self.offset = 0
        self.has_answers = False
        self.tail = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.last_news = time.monotonic()
        # What comes of it is told where it is read: refused at once is refused, too.
        with contextlib.suppress(OSError):
            self.socket.connect(address)

    @property
    def is_sent(self) -> bool:
        return not self.pieces

    def send(self):
        """One piece, or as much of it as goes."""
        if not self.pieces:
            return
        piece = self.pieces[0]
        self.offset += self.socket.send(memoryview(piece)[self.offset :])
        if self.offset == len(piece):
            self.pieces.popleft()
            self.offset = 0

    def reset(self):
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.socket.close()


class Sender:
    """Sends `sessions`, one after the other from number 0, and looks through what comes back."""

    def __init__(self, sessions: Sessions, address):
        self.address = address
        self.sessions = sessions
        self.number = 0
        self.sent_messages = 0
        self.statuses = collections.Counter()
        self.faults: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._staying: collections.deque[_Player] = collections.deque()
        self._swept = 0.0

    def turn(self, *, begins=True):
        """Begins sessions up to as many as go on at once, and does what can be done now."""
        while begins and len(self._selector.get_map()) < AT_ONCE:
            self._begin()
        for key, events in self._selector.select(0.05):
            player = key.data
            try:
                if events & selectors.EVENT_READ and not self._read(player):
                    self._end(player)
                    continue
                if events & selectors.EVENT_WRITE:
                    player.last_news = time.monotonic()
                    player.send()
                    if player.is_sent:
                        self._finish(player)
            except BlockingIOError:
                continue
            except OSError:
                # Refused or reset, as the gateway may do: whether it lives is asked elsewhere.
                self._end(player)
        self._sweep()

    def close(self):
        for key in list(self._selector.get_map().values()):
            self._end(key.data)
        while self._staying:
            self._staying.popleft().reset()
        self._selector.close()

    def _begin(self):
        session = self.sessions[self.number]
        self.number += 1
        self.sent_messages += session.message_count
        player = _Player(session, self.address)
        self._selector.register(player.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, player)

    def _read(self, player: _Player) -> bool:
        """False at the end of the connection."""
        data = player.socket.recv(1 << 16)
        if not data:
            return False
        player.last_news = time.monotonic()
        player.has_answers = True
        seen = len(player.tail)
        data = player.tail + data
        for found in _STATUS.finditer(data):
            # What lies in the tail as a whole was counted before.
            if found.end() > seen:
                self._count(int(found[1]), data[found.start() :][:500])
        player.tail = data[-60:]
        if player.is_sent and player.session.end is End.RESET_LATER:
            player.reset()
            return False
        return True

    def _count(self, status: int, answer: bytes):
        self.statuses[status] += 1
        if status >= 500 and status not in ALLOWED_FAULTS:
            self.faults.append(f"{status} about session {self.number}: {answer!r}")

    def _finish(self, player: _Player):
        match player.session.end:
            case End.LEAVE:
                self._end(player)
            case End.RESET:
                self._end(player, resets=True)
            case End.RESET_LATER if player.has_answers:
                self._end(player, resets=True)
            case End.STAY:
                self._selector.unregister(player.socket)
                self._staying.append(player)
                if len(self._staying) > STAYING:
                    self._staying.popleft().reset()
            case End.FINISH:
                player.socket.shutdown(socket.SHUT_WR)
                self._selector.modify(player.socket, selectors.EVENT_READ, player)
            case _:
                self._selector.modify(player.socket, selectors.EVENT_READ, player)

    def _end(self, player: _Player, *, resets=False):
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(player.socket)
        if resets:
            player.reset()
        player.socket.close()

    def _sweep(self):
        now = time.monotonic()
        if now - self._swept < QUIET_SECONDS / 4:
            return
        self._swept = now
        for key in list(self._selector.get_map().values()):
            if now - key.data.last_news > QUIET_SECONDS:
                self._end(key.data, resets=True)
