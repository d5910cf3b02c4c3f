"""Raw sockets: requests and frames that no well-behaved client would send."""

import base64
import contextlib
import json
import os
import re
import socket
import struct
import time
from dataclasses import dataclass

from gateway import ANSWER_SECONDS

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def request(line: str, *fields: str, body: bytes | str = b"", host="gateway") -> bytes:
    """A request head of `line` and `fields` with a Host, and `body` as it is, of which nothing is
    announced unless `fields` do."""
    host_fields = [f"Host: {host}"] if host is not None else []
    head = "\r\n".join([line, *host_fields, *fields]) + "\r\n\r\n"
    return head.encode("latin-1") + (body.encode() if isinstance(body, str) else body)


def get(path="/polls/", *fields: str) -> bytes:
    return request(f"GET {path} HTTP/1.1", *fields)


def post_json(path: str, document, *fields: str) -> bytes:
    body = json.dumps(document).encode()
    return request(
        f"POST {path} HTTP/1.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *fields,
        body=body,
    )


def ballot(poll, voter: str, choice: int = 0) -> bytes:
    """A valid vote: what must not be executed after a malformed request."""
    return post_json(
        "/votes/", {"poll_id": poll.id, "option_id": poll.options[choice], "voter": voter}
    )


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json()["error"]["code"]


class Wire:
    """One TCP connection. Everything waits at most `seconds`. One that the gateway resets is at its
    end, even where `connect` is what reports it; one that it refuses is an error."""

    def __init__(self, gateway, seconds: float = ANSWER_SECONDS, receive_buffer: int | None = None,
                 source: str | None = None):  # fmt: skip
        self.socket = socket.socket()
        if source is not None:
            self.socket.bind((source, 0))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.ended = False
        try:
            self.socket.connect(gateway.address)
        except ConnectionResetError:
            self.ended = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data: bytes):
        """Sends all of it, or as much as a peer that has refused already still takes."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def finish_sending(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _fill(self) -> bool:
        """Reads once more; False at the end of the connection, however it came."""
        if not self.ended:
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionError:
                piece = b""
            self.received += piece
            self.ended = not piece
        return not self.ended

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        while len(self.received) < count:
            assert self._fill(), f"the connection ended after {self.received!r}"
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def take_line(self) -> bytes:
        """The next line, without its CRLF."""
        while b"\r\n" not in self.received:
            assert self._fill(), f"the connection ended after {self.received!r}"
        line = self.take(self.received.index(b"\r\n"))
        del self.received[:2]
        return line

    def answer(self, to_head=False) -> Answer:
        """The next HTTP answer, parsed strictly."""
        status_line = self.take_line()
        found = re.fullmatch(rb"HTTP/1\.[01] ([1-5]\d\d) [\x20-\x7e]*", status_line)
        assert found, status_line
        fields = {}
        while line := self.take_line():
            name, colon, value = line.partition(b":")
            assert colon and re.fullmatch(rb"[A-Za-z0-9-]+", name), line
            fields[name.decode().lower()] = value.decode().strip(" ")
        status = int(found[1])
        body = b""
        if to_head or status < 200 or status in (204, 304):
            pass
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(self.take_line(), 16):
                body += self.take(size)
                assert self.take_line() == b""
            assert self.take_line() == b""
        else:
            body = self.take(int(fields["content-length"]))
        return Answer(status, fields, body)

    def rest(self, seconds: float = ANSWER_SECONDS) -> bytes:
        """Everything until the gateway closes, which it must within `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            self._fill()
        return self.take(len(self.received))

    def read_for(self, seconds: float) -> bytes:
        """What comes within `seconds`, or until the gateway closes before that."""
        with contextlib.suppress(TimeoutError):
            return self.rest(seconds)
        return self.take(len(self.received))

    # WebSocket

    def handshake(self, path: str, *fields: str) -> Answer:
        self.send(upgrade(path, *fields))
        return self.answer()

    def send_frame(self, opcode: int, payload: bytes = b"", **options):
        self.send(frame(opcode, payload, **options))

    def take_frame(self) -> tuple[int, bytes]:
        """The opcode and payload of the gateway's next frame: whole, never masked, shortest
        length, no reserved bit."""
        first, second = self.take(2)
        assert first & 0xF0 == 0x80, f"first byte {first:#x}"
        assert second & 0x80 == 0, "the gateway masked a frame"
        count = second
        if count == 126:
            (count,) = struct.unpack("!H", self.take(2))
            assert count >= 126
        elif count == 127:
            (count,) = struct.unpack("!Q", self.take(8))
            assert count >= 1 << 16
        payload = self.take(count)
        opcode = first & 0x0F
        if opcode == TEXT:
            payload.decode()
        return opcode, payload

    def take_message(self) -> dict:
        """The next text message, decoded; pings in between are left unanswered."""
        while True:
            opcode, payload = self.take_frame()
            if opcode == TEXT:
                return json.loads(payload)
            assert opcode in (PING, PONG), (opcode, payload)

    def close_code(self) -> int:
        """The code of the Close frame that comes next but for other messages, after which the
        gateway ends the connection without waiting long for ours."""
        while True:
            opcode, payload = self.take_frame()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else 1005


def upgrade(path: str, *fields: str, key=None, version="13", method="GET", body=b"") -> bytes:
    """A WebSocket handshake; None leaves a field out, a list repeats it."""
    key = key if key is not None else base64.b64encode(os.urandom(16)).decode()
    key_fields = [f"Sec-WebSocket-Key: {each}" for each in ([key] if isinstance(key, str) else key)]
    versions = [version] if isinstance(version, str) else version
    return request(
        f"{method} {path} HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        *key_fields,
        *(f"Sec-WebSocket-Version: {each}" for each in versions),
        *fields,
        body=body,
    )


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin=True,
    reserved=0,
    masked=True,
    mask=b"\x37\xfa\x21\x3d",
    length_form: int | None = None,
    announced: int | None = None,
) -> bytes:
    """A client's frame (RFC 6455, section 5.2), as wrong as asked: `reserved` are RSV1 to RSV3 as
    bits 4, 2, 1; `length_form` forces 0, 126 or 127; `announced` is the length told."""
    count = len(payload) if announced is None else announced
    if length_form is None:
        length_form = 0 if count < 126 else 126 if count < 1 << 16 else 127
    length = {
        0: lambda: b"",
        126: lambda: struct.pack("!H", count),
        127: lambda: struct.pack("!Q", count),
    }[length_form]()
    second = (0x80 if masked else 0) | (length_form or count)
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode, second]) + length
    if not masked:
        return head + payload
    return head + mask + masked_with(mask, payload)


def masked_with(mask: bytes, payload: bytes) -> bytes:
    """As one large number each, which is a thousand times faster than byte by byte."""
    stream = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return number.to_bytes(len(payload), "big")


def text(document) -> bytes:
    """A message of the protocol as one text frame."""
    return frame(TEXT, json.dumps(document).encode())


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)
