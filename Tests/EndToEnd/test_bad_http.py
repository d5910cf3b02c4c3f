"""HTTP/1.1 that two parsers might read differently (RFC 9112): BAD_INPUT section A.

Behind every malformed request follows, on the same connection, a vote that is perfectly valid. It
must never be executed: whoever can hide a request behind another one speaks with another's voice.
"""

import pytest

from wire import Wire, ballot, get, post_json, request

# The store makes no difference.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway(reached_both_ways):
    return reached_both_ways


@pytest.fixture(scope="module")
def target(gateway):
    """The poll that the hidden votes are for."""
    return gateway.create_poll()


def post(*fields: str, body: bytes = b"", version="HTTP/1.1") -> bytes:
    return request(f"POST /votes/ {version}", "Content-Type: application/json", *fields, body=body)


def chunked(body: bytes) -> bytes:
    return post("Transfer-Encoding: chunked", body=body)


def in_target(octets: bytes) -> bytes:
    return b"GET /polls/?" + octets + b" HTTP/1.1\r\nHost: x\r\n\r\n"


BAD = (400,)
VERSION = (400, 505)
METHOD = (400, 501)
CODING = (400, 501)
LARGE = (400, 413)

MALFORMED = {
    "A03 bare LF ends lines": (BAD, b"GET /polls/ HTTP/1.1\nHost: x\n\n"),
    "A03 bare LF ends one line": (BAD, b"GET /polls/ HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
    "A03 bare LF ends the head": (BAD, b"GET /polls/ HTTP/1.1\r\nHost: x\r\n\n"),
    "A04 bare CR in a value": (BAD, get("/polls/", "X: a\rb")),
    "A04 two CR": (BAD, b"GET /polls/ HTTP/1.1\r\nHost: x\r\r\nX: y\r\n\r\n"),
    "A04 head ends in CRLF LF CR": (BAD, b"GET /polls/ HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n"),
    "A05 LF CR ends lines": (BAD, b"GET /polls/ HTTP/1.1\n\rHost: x\n\r\n\r"),
    "A05 CR alone ends lines": (BAD, b"GET /polls/ HTTP/1.1\rHost: x\r\r"),
    "A06 folded line": (BAD, get("/polls/", "X: a\r\n b")),
    "A06 folded line by tab": (BAD, get("/polls/", "X: a\r\n\tb")),
    "A07 space before the colon": (BAD, post("Content-Length : 5", body=b"12345")),
    "A07 tab before the colon": (BAD, post("Content-Length\t: 5", body=b"12345")),
    "A08 space before the first field": (BAD, b"GET /polls/ HTTP/1.1\r\n Host: x\r\n\r\n"),
    "A08 tab before the first field": (BAD, b"GET /polls/ HTTP/1.1\r\n\tHost: x\r\n\r\n"),
    "A09 no colon": (BAD, get("/polls/", "Nothing")),
    "A09 no name": (BAD, get("/polls/", ": x")),
    **{
        f"A10 {octet!r} in a name": (BAD, get("/polls/", f"X{octet}Y: z"))
        for octet in ' "(),/;<=>?@[\\]{}\x7f\xe4'
    },
    "A11 NUL": (BAD, get("/polls/", "X: a\0b")),
    "A11 SOH": (BAD, get("/polls/", "X: a\x01b")),
    "A11 backspace": (BAD, get("/polls/", "X: a\x08b")),
    "A11 escape": (BAD, get("/polls/", "X: a\x1bb")),
    "A11 DEL": (BAD, get("/polls/", "X: a\x7fb")),
    "A11 NUL in a name": (BAD, get("/polls/", "X\0: y")),
    "A13 no Host": (BAD, b"GET /polls/ HTTP/1.1\r\nX: y\r\n\r\n"),
    "A13 two Host": (BAD, get("/polls/", "Host: gateway")),
    "A13 Host with userinfo": (BAD, request("GET /polls/ HTTP/1.1", host="a@b")),
    "A13 Host with a space": (BAD, request("GET /polls/ HTTP/1.1", host="a b")),
    "A13 Host with a bad port": (BAD, request("GET /polls/ HTTP/1.1", host="a:b")),
    "A13 Host with a path": (BAD, request("GET /polls/ HTTP/1.1", host="a/b")),
    "A16 HTTP/9.9": (VERSION, request("GET /polls/ HTTP/9.9")),
    "A16 HTTP/2.0": (VERSION, request("GET /polls/ HTTP/2.0")),
    "A16 HTTP/01.1": (VERSION, request("GET /polls/ HTTP/01.1")),
    "A16 lower case": (VERSION, request("GET /polls/ http/1.1")),
    "A16 space behind": (VERSION, request("GET /polls/ HTTP/1.1 ")),
    "A16 none": (VERSION, request("GET /polls/")),
    "A17 HTTP/257.1": (VERSION, request("GET /polls/ HTTP/257.1")),
    "A17 HTTP/1.32": (VERSION, request("GET /polls/ HTTP/1.32")),
    "A18 HTTP/2 preface": (VERSION, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "A19 tab behind the method": (BAD, request("GET\t/polls/ HTTP/1.1")),
    "A19 two spaces": (BAD, request("GET  /polls/ HTTP/1.1")),
    "A19 two spaces before the version": (BAD, request("GET /polls/  HTTP/1.1")),
    "A19 method with a colon": (METHOD, request("G:T /polls/ HTTP/1.1")),
    "A19 empty method": (METHOD, request(" /polls/ HTTP/1.1")),
    "A20 a space before the request": (BAD, b" GET /polls/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "A20 a line of spaces before the request": (BAD, b" \r\n" + get()),
    "A21 two lengths": (BAD, post("Content-Length: 5", "Content-Length: 6", body=b"12345")),
    "A21 a list of two lengths": (BAD, post("Content-Length: 5, 6", body=b"12345")),
    "A22 two equal lengths": (BAD, post("Content-Length: 5", "Content-Length: 5", body=b"12345")),
    "A22 a list of equal lengths": (BAD, post("Content-Length: 5, 5", body=b"12345")),
    **{
        f"A23 length {text!r}": (BAD, post(f"Content-Length: {text}", body=b"12345"))
        for text in ("+5", "-1", "0x5", "5 5", "1_0", "5,", "", "5e0", "\xb2", "5;", "'5'")
    },
    **{
        f"A24 length {text[:12]}": (LARGE, post(f"Content-Length: {text}", body=b"12345"))
        for text in (str(2**63), str(2**64 + 1), str(2**64 + 5), "9" * 40)
    },
    **{
        f"A25 length {text!r}": (BAD, post(f"Content-Length: {text}", body=b"12345"))
        for text in ("\t\x0b5", "5\x0c", "\xa05", "5\x00", "5, ", ",5", "five")
    },
    "A26 two codings": (BAD, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
                                  body=b"0\r\n\r\n")),
    "A26 a list of two codings": (BAD, post("Transfer-Encoding: chunked, chunked",
                                            body=b"0\r\n\r\n")),
    "A26 length and coding": (BAD, post("Content-Length: 5", "Transfer-Encoding: chunked",
                                        body=b"0\r\n\r\n")),
    "A26 coding and length": (BAD, post("Transfer-Encoding: chunked", "Content-Length: 5",
                                        body=b"0\r\n\r\n")),
    **{
        f"A26 coding {text!r}": (CODING, post(f"Transfer-Encoding: {text}", body=b"0\r\n\r\n"))
        for text in ("xchunked", "identity", "gzip", "gzip, chunked", "chunked, identity", "",
                     "chunked;q=1", "\x0bchunked", '"chunked"')
    },
    "A27 coding on HTTP/1.0": (BAD, post("Transfer-Encoding: chunked", version="HTTP/1.0",
                                         body=b"0\r\n\r\n")),
    **{
        f"A28 chunk size {size!r}": (LARGE, chunked(size + b"\r\n12345\r\n0\r\n\r\n"))
        for size in (b"0x5", b"+5", b"-1", b" 5", b"5 ", b"", b"5_0", b"g", b"\t5",
                     b"00000000000000005", b"fffffffffffffffff", b"10000000000000005")
    },
    **{
        f"A30 extension {extension[:8]!r}": (LARGE, chunked(b"5" + extension + b"\r\n12345"
                                                           b"\r\n0\r\n\r\n"))
        for extension in (b";" + b"x" * 10_000, b";a=\x00", b";a\rb", b" ;a=b\n")
    },
    "A29 data longer than its chunk": (BAD, chunked(b"5\r\n12345XX\r\n0\r\n\r\n")),
    "A29 data without CRLF": (BAD, chunked(b"5\r\n123450\r\n\r\n")),
    "A29 bare LF behind the size": (BAD, chunked(b"5\n12345\r\n0\r\n\r\n")),
    "A29 bare LF behind the data": (BAD, chunked(b"5\r\n12345\n0\r\n\r\n")),
    "A29 bare CR behind the size": (BAD, chunked(b"5\rX12345\r\n0\r\n\r\n")),
    "A29 bare LF in an extension": (BAD, chunked(b"5;a\nb\r\n12345\r\n0\r\n\r\n")),
    "A29 bare LF at the end": (BAD, chunked(b"0\r\n\n")),
    "A31 chunks of one byte without end": (LARGE, chunked(b"1\r\n \r\n" * 20_000)),
    "A32 a thousand trailers": ((400, 413, 431), chunked(
        b"0\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n")),
    "A32 a trailer without a colon": (BAD, chunked(b"0\r\nnothing\r\n\r\n")),
    "A40 absolute form with userinfo": (BAD, request("GET http://a@gateway/polls/ HTTP/1.1")),
    "A40 absolute form without a host": (BAD, request("GET http:///polls/ HTTP/1.1")),
    "A40 another scheme": (BAD, request("GET gopher://gateway/polls/ HTTP/1.1")),
    "A40 asterisk for GET": (BAD, request("GET * HTTP/1.1")),
    **{
        f"A43 {octets!r} in the target": (BAD, in_target(octets))
        for octets in (b"#x", b"a b", b"\\", "ü".encode(), b"<", b">", b'"', b"\x00", b"\x7f", b"^",
                       b"`", b"{", b"|")
    },
    "A43 target without a slash": (BAD, request("GET polls/ HTTP/1.1")),
}  # fmt: skip


@pytest.mark.parametrize("row", MALFORMED)
def test_what_is_ambiguous_is_refused_and_nothing_behind_it_is_executed(gateway, target, row):
    statuses, data = MALFORMED[row]
    before = gateway.stored_ballots()
    with Wire(gateway) as wire:
        wire.send(data + ballot(target, f"hidden behind {row}"))
        answer = wire.answer()
        assert answer.status in statuses, answer
        assert answer.fields["connection"].lower() == "close"
        assert answer.json()["error"]["code"]
        assert wire.rest() == b"", "an answer to what lies behind"
    assert gateway.stored_ballots() == before


OTHER_PROTOCOLS = {
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "SMTP": b"EHLO example.com\r\n\r\n",
    "only NUL": bytes(5000),
    "a file of HTML": b"<!doctype html>\n<title>x</title>\n",
    "only line ends": b"\r\n" * 5000,
}


@pytest.mark.parametrize("protocol", OTHER_PROTOCOLS)
def test_another_protocol_is_refused_once_at_most(gateway, target, protocol):
    before = gateway.stored_ballots()
    with Wire(gateway) as wire:
        wire.send(OTHER_PROTOCOLS[protocol] + ballot(target, f"hidden behind {protocol}"))
        rest = wire.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
        assert rest.count(b"HTTP/1.1 400") <= 1
    assert gateway.stored_ballots() == before


ODD_BUT_CLEAR = {
    "A12 0xA0 beside a value": ((200, 400), get("/polls/", "X: \xa0y\xa0")),
    "A12 0x85 beside a value": ((200, 400), get("/polls/", "X: \x85y")),
    "A14 HTTP/1.0 without Host": ((200, 400), b"GET /polls/ HTTP/1.0\r\n\r\n"),
    "A15 HTTP/1.0 that asks to be kept": ((200,), request("GET /polls/ HTTP/1.0",
                                                         "Connection: keep-alive")),
    "A16 HTTP/1.2": ((200, 505), request("GET /polls/ HTTP/1.2")),
    "A19 lower-case method": ((400, 405, 501), request("get /polls/ HTTP/1.1")),
    "A19 long method": ((400, 405, 414, 501), request("A" * 4096 + " /polls/ HTTP/1.1")),
    "A20 a line end before the request": ((200, 400), b"\r\n" + get()),
    "A25 no body, said so": ((200, 400), get("/polls/", "Content-Length: 0")),
    "A25 leading zeros": ((200, 400), request("GET /polls/ HTTP/1.1", "Content-Length: 000")),
    "A39 absolute form": ((200,), request("GET http://gateway/polls/ HTTP/1.1")),
    "A39 absolute form of another host": ((200,), request("GET http://other:1/polls/ HTTP/1.1")),
    "A41 CONNECT": ((400, 405, 501), request("CONNECT a:443 HTTP/1.1")),
    "A42 OPTIONS *": ((200, 204, 405), request("OPTIONS * HTTP/1.1")),
    "A49 unknown expectation": ((417,), get("/polls/", "Expect: foo")),
    "A50 an expectation on HTTP/1.0": ((200, 400), request(
        "GET /polls/ HTTP/1.0", "Expect: 100-continue")),
    "A50 an expectation twice": ((200, 400, 417), get("/polls/", "Expect: 100-continue",
                                                     "Expect: 100-continue")),
    "A51 GET with a body": ((200, 400), request("GET /polls/ HTTP/1.1", "Content-Length: 5",
                                               body=b"GET /")),
    "A52 close wins": ((200,), get("/polls/", "Connection: close, keep-alive")),
    "A52 Connection names Host": ((200, 400), get("/polls/", "Connection: Host")),
    "A52 Connection names the length": ((422,), post(
        "Connection: Content-Length", "Content-Length: 2", body=b"{}")),
    "A53 h2c": ((200, 400), get("/polls/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                               "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")),
    "A09 no value": ((200,), get("/polls/", "X:")),
}  # fmt: skip


CLOSES = {"A14 HTTP/1.0 without Host", "A49 unknown expectation", "A52 close wins"}


@pytest.mark.parametrize("row", ODD_BUT_CLEAR)
def test_what_is_odd_but_clear_gets_one_answer(gateway, row):
    statuses, data = ODD_BUT_CLEAR[row]
    with Wire(gateway) as wire:
        wire.send(data)
        # Whoever is to be let go is, without having said that it has nothing more to ask.
        if row not in CLOSES:
            wire.finish_sending()
        answer = wire.answer()
        assert answer.status in statuses, answer
        assert wire.rest() == b"", "a second answer"


TRAILERS = ["Content-Length: 5", "Host: evil", "X-Forwarded-For: 1.2.3.4",
            "Authorization: Bearer psv_forged", "Transfer-Encoding: chunked",
            "Connection: close"]  # fmt: skip


@pytest.mark.parametrize("trailer", TRAILERS)
def test_a_trailer_is_never_a_header(gateway, poll, trailer):
    vote = ballot(poll, "ada").split(b"\r\n\r\n", 1)[1]
    body = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(vote), vote, trailer.encode())
    with Wire(gateway) as wire:
        wire.send(chunked(body) + get())
        assert wire.answer().status == 201
        assert wire.answer().status == 200


def test_a_chunked_ballot_is_counted(gateway, poll):
    vote = ballot(poll, "ada").split(b"\r\n\r\n", 1)[1]
    pieces = b"".join(b"%X;name=value\r\n%s\r\n" % (1, vote[i : i + 1]) for i in range(len(vote)))
    with Wire(gateway) as wire:
        wire.send(chunked(pieces + b"0\r\n\r\n") + get())
        assert wire.answer().status == 201
        assert wire.answer().status == 200
    assert gateway.results(poll)["total"] == 1


def test_a_body_of_sixty_thousand_chunks_is_refused(gateway, target):
    before = gateway.stored_ballots()
    with Wire(gateway) as wire:
        wire.send(chunked(b"1\r\n \r\n" * 60_000) + ballot(target, "behind the chunks"))
        assert wire.answer().status in (400, 408, 413)
        assert wire.rest() == b""
    assert gateway.stored_ballots() == before


def test_a_body_without_its_end_stores_nothing(gateway, target):
    before = gateway.stored_ballots()
    vote = ballot(target, "cut off").split(b"\r\n\r\n", 1)[1]
    for data in (
        chunked(b"%x\r\n%s\r\n" % (len(vote), vote)),
        ballot(target, "cut off")[:-1],
    ):
        with Wire(gateway) as wire:
            wire.send(data)
            wire.finish_sending()
            assert b"HTTP/1.1 2" not in wire.rest()
    assert gateway.stored_ballots() == before


def test_a_request_inside_a_body_is_not_executed(gateway, target):
    before = gateway.stored_ballots()
    inner = ballot(target, "inside a body")
    with Wire(gateway) as wire:
        wire.send(post(f"Content-Length: {len(inner)}", body=inner) + get())
        assert wire.answer().status == 400
        rest = wire.read_for(1)
        assert rest.count(b"HTTP/1.1 400") <= 1
    assert gateway.stored_ballots() == before


def test_a_request_inside_the_body_of_a_get_is_not_executed(gateway, target):
    before = gateway.stored_ballots()
    inner = ballot(target, "inside a GET")
    with Wire(gateway) as wire:
        wire.send(get("/polls/", f"Content-Length: {len(inner)}") + inner)
        wire.finish_sending()
        assert wire.answer().status in (200, 400)
        assert wire.rest() == b""
    assert gateway.stored_ballots() == before


def test_what_expects_100_continue_gets_it_and_then_the_answer(gateway, poll):
    head, body = ballot(poll, "ada").split(b"\r\n\r\n", 1)
    with Wire(gateway) as wire:
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert wire.answer().status == 100
        wire.send(body)
        assert wire.answer().status == 201


def test_what_expects_100_continue_with_a_bad_head_gets_the_refusal_alone(gateway):
    with Wire(gateway) as wire:
        wire.send(post("Content-Length: 5", "Content-Length: 5", "Expect: 100-continue"))
        assert wire.answer().status == 400
        assert wire.rest() == b""


def test_json_after_the_announced_length_is_the_next_request(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(post_json("/votes/", {"poll_id": poll.id}) + b"garbage\r\n\r\n")
        assert wire.answer().status == 422
        assert wire.answer().status == 400
        assert wire.rest() == b""
