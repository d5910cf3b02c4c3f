#!/usr/bin/env python3
"""Looks like a gateway to `messages.py`, with a mistake that has to be found: $FAKE_MISTAKE."""

import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter

MISTAKE = os.environ.get("FAKE_MISTAKE", "none")
# Requests, before which all is well: the polls are made by then, or the attack is under way.
BEGINS_AFTER = 80 if MISTAKE in ("closed", "shallow") else 400

REQUEST_LINE = re.compile(rb"[A-Z]+ [^ ]+ HTTP/1\.[01]")
counters = Counter()
polls = 0
voters: list[bytes] = []


class Fake:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer

    async def serve(self):
        try:
            while await self._request():
                await self.writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            self.writer.close()

    async def _request(self) -> bool:
        """Whether the connection goes on."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not REQUEST_LINE.match(head):
            self._refuse("http_malformed_requests_total", 400)
            return False
        length = re.search(rb"\r\ncontent-length: (\d{1,5})\r", head, re.I)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        path = head.split(b" ", 2)[1]
        if misbehaves() and b"User-Agent: watcher\r\n" not in head:
            match MISTAKE:
                case "closed":
                    self._refuse("connections_refused_total", 429)
                    return False
                case "shallow" if b"sec-websocket-key" not in head.lower():
                    self._refuse("http_malformed_requests_total", 400)
                    return True
        counters["http_requests_total"] += 1
        if path == b"/metrics":
            self._answer(200, metrics())
        elif path == b"/readyz":
            self._answer(200, {})
        elif key := re.search(rb"\r\nsec-websocket-key: (\S+)", head, re.I):
            await self._websocket(key[1])
            return False
        else:
            self._answer(*respond(path, body))
        return True

    def _refuse(self, counter: str, status: int):
        counters[counter] += 1
        self._answer(status, {})

    def _answer(self, status: int, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
        self.writer.write(body)

    async def _websocket(self, key: bytes):
        counters["websocket_handshakes_total"] += 1
        accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.writer.write(b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                          % base64.b64encode(accept))  # fmt: skip
        while True:
            first, second = await self.reader.readexactly(2)
            if second < 128 or first & 15 not in (0, 1, 2, 8, 9, 10):
                counters["websocket_protocol_closes_total"] += 1
                return
            count = second & 127
            if count > 125:
                count = int.from_bytes(await self.reader.readexactly(2 if count == 126 else 8))
            mask = await self.reader.readexactly(4)
            payload = await self.reader.readexactly(min(count, 1 << 17))
            counters["websocket_messages_total"] += 1
            text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload[:20]))
            if text == b'{"type":"ping"}':
                self.writer.write(b'\x81\x0f{"type":"pong"}')


def misbehaves() -> bool:
    return counters["http_requests_total"] > BEGINS_AFTER


def metrics() -> bytes:
    named = dict(counters)
    named['ballots_total{outcome="counted"}'] = named.pop("ballots", 0)
    return "".join(f"pollstream_{name} {count}\n" for name, count in named.items()).encode()


def respond(path: bytes, body: bytes):
    global polls
    if misbehaves():
        match MISTAKE:
            case "hang":
                time.sleep(3600)
            case "spin":
                while True:
                    pass
            case "die":
                os.abort()
            case "fault" if b"watcher" not in body:
                return 500, {}
            case "report":
                print("WARNING: ThreadSanitizer: data race (pid=1)", file=sys.stderr, flush=True)
            case "forget" if b"watcher" in body:
                return 404, {}
            case "leak" if path.endswith(b"/ballots/"):
                return 503, {}
            case "miscount" if path.endswith(b"/audit/"):
                return 200, {"consistent": False}
            case "lose" if path.endswith(b"/ballots/"):
                return 200, b"voter\r\n" + b"".join(voters[1:])
    if path == b"/polls/" and body:
        polls += 1
        options = [{"id": polls * 100 + place} for place in range(20)]
        keys = {"host_key": "psh_" + "k" * 40, "join_code": "ABC123"}
        return 201, {"id": polls, "options": options, **keys}
    if path == b"/votes/":
        counters["ballots"] += 1
        voters.extend(name + b"\r\n" for name in re.findall(rb"watcher \d+", body))
        return 201, {}
    if path.endswith(b"/ballots/"):
        return 200, b"voter\r\n" + b"".join(voters)
    return 200, {"consistent": True}


async def main():
    async def serve(reader, writer):
        await Fake(reader, writer).serve()

    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for _ in range(2)]
    for words, server in zip(("listening on", "ops on"), servers, strict=True):
        host, port = server.sockets[0].getsockname()
        print(f"{words} http://{host}:{port}", file=sys.stderr, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    # As ThreadSanitizer ends a process that it has found something in.
    os._exit(66 if MISTAKE == "end" else 0)


if __name__ == "__main__":
    asyncio.run(main())
