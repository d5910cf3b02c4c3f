"""Valid messages, one at a time: what the mutations begin with. All randomness is the caller's."""

import base64
import json
import socket
import struct
import zlib
from dataclasses import dataclass
from random import Random
from urllib.parse import urlencode

from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, request, upgrade

PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@dataclass(frozen=True)
class Target:
    """A poll that the gateway made for us."""

    id: int
    options: list[int]
    host_key: str
    join_code: str


@dataclass(frozen=True)
class Site:
    """What messages are about: `open` polls stay as they are, `hosted` ones change and close."""

    open: list[Target]
    hosted: list[Target]


FIELDS = [
    "Prefer: respond-async", 'If-None-Match: "1"', "If-None-Match: *", "Accept: text/csv",
    "Accept: text/html;q=0.5, */*", "Origin: http://a.example", "Origin: null", "Cookie: a=b; c=d",
    "Cookie: pollstream_voter=psv_AAAA", "Authorization: Bearer psv_AAAA.BBBB",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA", "X-Request-Id: abc-1",
    "X-Forwarded-For: 192.0.2.1, 10.0.0.1", "X-Forwarded-Proto: https", "Last-Event-ID: 5",
    "Expect: 100-continue", "Accept-Encoding: gzip;q=1.0, br, *;q=0", "Range: bytes=0-0,1-1",
    "Upgrade: h2c", "Accept-Language: de", "Connection: keep-alive", "Connection: close",
    "Access-Control-Request-Method: POST",
]  # fmt: skip
PATHS = [
    "/", "/host", "/embed.js", "/client/pollstream.js", "/openapi.json", "/asyncapi.json",
    "/api/polls/get-list/?full_name=Ada&page=1", "/api/polls/get-list?page_size=3",
    "/polls/?state=all&page=1&page_size=100", "/polls/?state=closed", "/nothing/", "*",
    "http://gateway/polls/", "/%2e%2e/etc/passwd",
]  # fmt: skip


def _document_request(random: Random, method: str, path: str, document, *fields: str) -> bytes:
    """JSON mostly, in chunks now and then."""
    body = json.dumps(document, ensure_ascii=random.random() < 0.5).encode()
    fields = ("Content-Type: application/json", *fields)
    line = f"{method} {path} HTTP/1.1"
    if random.random() < 0.85:
        return request(line, *fields, f"Content-Length: {len(body)}", body=body)
    cut = random.randint(0, len(body))
    chunks = [piece for piece in (body[:cut], body[cut:]) if piece]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in chunks)
    ends = [b"0\r\n\r\n", b"0;a=b\r\nTrailer: x\r\n\r\n"]
    return request(line, *fields, "Transfer-Encoding: chunked", body=body + random.choice(ends))


def _bearer(target: Target) -> str:
    return f"Authorization: Bearer {target.host_key}"


class Requests:
    """One HTTP request each."""

    def __init__(self, site: Site):
        self.site = site
        self._kinds = {
            self.vote: 8, self.form_vote: 2, self.original_vote: 3, self.create: 2,
            self.create_original: 1, self.read: 8, self.page: 3, self.host: 2, self.options: 1,
        }  # fmt: skip

    def one(self, random: Random) -> bytes:
        (kind,) = random.choices(list(self._kinds), self._kinds.values())
        made = kind(random)
        if random.random() < 0.2:
            head, end, body = made.partition(b"\r\n")
            made = head + end + random.choice(FIELDS).encode() + b"\r\n" + body
        return made

    def _open(self, random: Random) -> Target:
        return random.choice(self.site.open)

    def vote(self, random: Random) -> bytes:
        target = self._open(random)
        chosen = random.sample(target.options, random.choice((1, 1, 1, 2)))
        document = {"poll_id": target.id, "voter": f"v{random.randrange(100_000)}"}
        document |= {"option_id": chosen[0]} if len(chosen) == 1 else {"option_ids": chosen}
        if random.random() < 0.1:
            del document["voter"]
        return _document_request(random, "POST", "/votes/", document)

    def form_vote(self, random: Random) -> bytes:
        target = self._open(random)
        fields = {"poll_id": target.id, "option_id": target.options[0], "voter": "Ada ü"}
        body = urlencode(fields)
        return request(
            "POST /votes/ HTTP/1.1", "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}", body=body,
        )  # fmt: skip

    def original_vote(self, random: Random) -> bytes:
        target = self._open(random)
        document = {"poll_id": target.id, "option_id": random.choice(target.options)}
        document["voter_name"] = f"v{random.randrange(100_000)}"
        return _document_request(random, "POST", "/api/vote/", document)

    def create(self, random: Random) -> bytes:
        document = {"title": "Which way?", "options": ["Left", {"text": "Right \U0001f600"}]}
        more = {
            "description": "d" * 50, "creator_name": "Ada", "kind": "multiple", "max_choices": 2,
            "starts_at": "2090-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00+01:00",
            "results": "after_close", "change_vote": True, "ask_name": True,
        }  # fmt: skip
        for name in random.sample(sorted(more), random.randint(0, 3)):
            document[name] = more[name]
        return _document_request(random, "POST", "/polls/", document)

    def create_original(self, random: Random) -> bytes:
        document = {
            "title": "Which?", "description": "", "creator_name": "Ada",
            "end_time": "2099-01-01T00:00:00Z", "options": [{"text": "a"}, {"text": "b"}],
        }  # fmt: skip
        return _document_request(random, "POST", "/api/polls/create/", document)

    def read(self, random: Random) -> bytes:
        target = random.choice((self._open(random), random.choice(self.site.hosted)))
        path = random.choice((
            f"/polls/{target.id}/", f"/polls/{target.id}/results/?format=csv",
            f"/polls/{target.id}/results/", f"/join/{target.join_code}", f"/p/{target.id}",
            f"/api/polls/{target.id}/?full_name=Ada", f"/embed/{target.id}", "/polls/",
            f"/polls/{target.id}/ballots/", f"/polls/{target.id}/audit/",
        ))  # fmt: skip
        fields = [_bearer(target)] if random.random() < 0.3 else []
        return request(f"{random.choice(('GET', 'GET', 'HEAD'))} {path} HTTP/1.1", *fields)

    def page(self, random: Random) -> bytes:
        return request(f"GET {random.choice(PATHS)} HTTP/1.{random.choice('1' * 15 + '0')}")

    def host(self, random: Random) -> bytes:
        target = random.choice(self.site.hosted)
        path = f"/polls/{target.id}/"
        match random.randrange(8):
            case 0:
                return request(f"POST {path}close/ HTTP/1.1", _bearer(target), "Content-Length: 0")
            case 1:
                return request(f"POST {path}open/ HTTP/1.1", _bearer(target), "Content-Length: 0")
            case 2:
                return request(f"DELETE {path} HTTP/1.1", _bearer(target))
            case 3:
                options = {"options": ["one", "two", "three"]}
                return _document_request(random, "PATCH", path, options, _bearer(target))
        change = random.choice((
            {"title": "Another"}, {"results": "live"}, {"description": "x" * 100},
            {"end_time": "2099-01-01T00:00:00Z"}, {"end_time": None},
        ))  # fmt: skip
        return _document_request(random, "PATCH", path, change, _bearer(target))

    def options(self, random: Random) -> bytes:
        path = random.choice(("/votes/", "/polls/", "/api/vote/", "*"))
        return request(
            f"OPTIONS {path} HTTP/1.1", "Origin: http://a.example",
            "Access-Control-Request-Method: POST",
        )  # fmt: skip

    def events(self, random: Random) -> bytes:
        fields = ["Last-Event-ID: 1"] if random.random() < 0.3 else []
        return request(f"GET /polls/{self._open(random).id}/events/ HTTP/1.1", *fields)


class Sockets:
    """WebSocket handshakes, and what follows them."""

    def __init__(self, site: Site):
        self.site = site

    def handshake(self, random: Random) -> tuple[bytes, bool]:
        """The bytes, and whether they ask for compression."""
        target = random.choice(self.site.open)
        path = random.choice((
            "/ws/", "/ws/", f"/ws/polls/{target.id}/", f"/ws/polls/{target.id}/?since=1",
            "/ws/global/", "/ws/echo/", "/ws/echo/",
        ))  # fmt: skip
        deflates = random.random() < 0.4
        fields = [OFFER] if deflates else []
        if random.random() < 0.2:
            fields.append("Sec-WebSocket-Protocol: pollstream.v1, bearer.psv_AAAA")
        key = base64.b64encode(random.randbytes(16)).decode()
        return upgrade(path, *fields, key=key), deflates

    def document(self, random: Random) -> bytes:
        target = random.choice(self.site.open)
        others = [random.choice(self.site.open).id, random.choice(self.site.hosted).id]
        document = random.choice((
            {"type": "ping"},
            {"type": "subscribe", "poll_ids": [target.id]},
            {"type": "subscribe", "poll_ids": sorted({target.id, *others})},
            {"type": "subscribe", "poll_ids": [target.id], "host_key": target.host_key},
            {"type": "unsubscribe", "poll_ids": [target.id]},
            self._vote(random, target), self._vote(random, target), self._vote(random, target),
            {"type": "shout"},
        ))  # fmt: skip
        return json.dumps(document).encode()

    @staticmethod
    def _vote(random: Random, target: Target) -> dict:
        return {
            "type": "vote", "ref": f"r{random.randrange(100)}", "poll_id": target.id,
            "option_ids": [random.choice(target.options)], "voter": f"w{random.randrange(100_000)}",
        }  # fmt: skip

    def frames(self, random: Random, payload: bytes, deflates: bool) -> bytes:
        """One message: whole, compressed, in fragments with a ping between, or a control frame."""
        mask = random.randbytes(4)
        kind = random.random()
        if deflates and kind < 0.4:
            squeezer = zlib.compressobj(wbits=-15)
            squeezed = squeezer.compress(payload) + squeezer.flush(zlib.Z_SYNC_FLUSH)
            return frame(TEXT, squeezed[:-4], reserved=4, mask=mask)
        if kind < 0.5:
            cut = random.randint(0, len(payload))
            first = frame(TEXT, payload[:cut], fin=False, mask=mask)
            between = frame(PING, b"between", mask=mask) if random.random() < 0.5 else b""
            return first + between + frame(CONTINUATION, payload[cut:], mask=mask)
        if kind < 0.58:
            return frame(random.choice((PING, PONG)), random.randbytes(random.randint(0, 125)))
        if kind < 0.583:
            code = random.choice((1000, 1001, 1005, 1013, 4000, 999))
            return frame(CLOSE, struct.pack("!H", code) + b"bye", mask=mask)
        if kind < 0.59:
            return frame(BINARY, payload, mask=mask)
        return frame(TEXT, payload, mask=mask)


def proxy_header(random: Random) -> bytes:
    """PROXY protocol, version 1 or 2."""
    address = f"192.0.{random.randrange(256)}.{random.randrange(256)}"
    match random.randrange(5):
        case 0:
            return f"PROXY TCP4 {address} 127.0.0.1 4000 80\r\n".encode()
        case 1:
            return b"PROXY TCP6 2001:db8::1 ::1 4000 80\r\n"
        case 2:
            return b"PROXY UNKNOWN\r\n"
        case 3:
            return PROXY_SIGNATURE + b"\x20\x00\x00\x00"
    body = socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4000, 80)
    body += b"\x04\x00\x03abc" * random.randint(0, 2)
    return PROXY_SIGNATURE + b"\x21\x11" + struct.pack("!H", len(body)) + body


def noise(random: Random) -> bytes:
    """What other programs say to a port."""
    return random.choice((
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(100),
        b"SSH-2.0-OpenSSH_9.2p1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"EHLO a.example\r\n",
        b"*1\r\n$4\r\nPING\r\n", bytes(200), random.randbytes(random.randint(1, 400)),
    ))  # fmt: skip
