"""JSON and text (RFC 8259, read strictly): BAD_INPUT section E, over HTTP and over WebSocket."""

import json

import pytest

from live import Viewer
from wire import TEXT, Wire, frame, request

# The store makes no difference.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway(reached_both_ways):
    return reached_both_ways


SYNTAX = {
    "E01 nothing": b"",
    "E01 only spaces": b"   ",
    "E01 not JSON": b"hello",
    "E02 trailing comma": b'{"poll_id":1,}',
    "E02 trailing comma in an array": b'{"option_ids":[1,]}',
    "E02 something behind": b'{"poll_id":1} x',
    "E02 two documents": b'{"poll_id":1}{"poll_id":1}',
    "E02 comment": b'{"poll_id":1 /* one */}',
    "E02 line comment": b'{"poll_id":1} // one',
    "E02 single quotes": b"{'poll_id':1}",
    "E02 name without quotes": b"{poll_id:1}",
    "E02 no colon": b'{"poll_id" 1}',
    "E02 cut off": b'{"poll_id":1',
    "E02 cut off in a string": b'{"voter":"ada',
    "E03 depth 33": b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
    "E03 depth 512": b'{"a":' + b"[" * 511 + b"]" * 511 + b"}",
    "E03 only opening": b"[" * 60_000,
    "E03 only opening objects": b'{"a":' * 10_000,
    "E04 member twice": b'{"poll_id":1,"option_id":1,"poll_id":1}',
    "E04 member twice, once escaped": b'{"poll_id":1,"poll\\u005fid":1}',
    "E04 unknown member twice": b'{"x":1,"x":2}',
    "E06 leading zero": b'{"poll_id":01}',
    "E06 plus": b'{"poll_id":+1}',
    "E06 hexadecimal": b'{"poll_id":0x1}',
    "E06 no digits behind the point": b'{"poll_id":1.}',
    "E06 no digits before the point": b'{"poll_id":.5}',
    "E06 no exponent": b'{"poll_id":1e}',
    "E06 only minus": b'{"poll_id":-}',
    "E08 NaN": b'{"poll_id":NaN}',
    "E08 Infinity": b'{"poll_id":Infinity}',
    "E08 -Infinity": b'{"poll_id":-Infinity}',
    "E08 True": b'{"poll_id":True}',
    "E11 raw newline in a string": b'{"voter":"a\nb"}',
    "E11 raw tab in a string": b'{"voter":"a\tb"}',
    "E11 raw NUL in a string": b'{"voter":"a\0b"}',
    "E11 raw NUL between": b'{"poll_id":\x001}',
    "E11 escaped NUL": b'{"voter":"a\\u0000b"}',
    "E11 lone surrogate": b'{"voter":"\\ud800"}',
    "E11 lone low surrogate": b'{"voter":"\\udc00x"}',
    "E11 surrogates in the wrong order": b'{"voter":"\\udc00\\ud800"}',
    "E11 unknown escape": b'{"voter":"\\x41"}',
    "E11 cut escape": b'{"voter":"\\u12"}',
    "E12 byte order mark": b'\xef\xbb\xbf{"poll_id":1}',
}

NOT_UTF_8 = {
    "E11 invalid UTF-8": b'{"voter":"\xff"}',
    "E11 overlong": b'{"voter":"\xc0\xaf"}',
    "E11 surrogate": b'{"voter":"\xed\xa0\x80"}',
    "E12 UTF-16": '{"poll_id":1}'.encode("utf-16"),
    "E12 UTF-32": '{"poll_id":1}'.encode("utf-32"),
}


def posted(gateway, path: str, body: bytes):
    with Wire(gateway) as wire:
        wire.send(
            request(
                f"POST {path} HTTP/1.1",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                body=body,
            )
        )
        return wire.answer()


@pytest.mark.parametrize("row", SYNTAX | NOT_UTF_8)
@pytest.mark.parametrize("path", ["/votes/", "/polls/"])
def test_broken_json_is_malformed_over_http(gateway, row, path):
    answer = posted(gateway, path, (SYNTAX | NOT_UTF_8)[row])
    assert (answer.status, answer.code) == (400, "malformed_json")


@pytest.mark.parametrize("row", SYNTAX)
def test_broken_json_is_malformed_over_websocket_and_the_socket_stays(gateway, row):
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(frame(TEXT, SYNTAX[row]) + frame(TEXT, b'{"type":"ping"}'))
        error = wire.take_message()
        assert (error["type"], error["code"]) == ("error", "malformed_json")
        assert wire.take_message() == {"type": "pong"}


@pytest.mark.parametrize("top", ["[]", "[1]", '"x"', "7", "null", "true"])
def test_a_top_level_that_is_no_object_is_refused(gateway, top):
    assert posted(gateway, "/votes/", top.encode()).status in (400, 422)
    with Wire(gateway) as wire:
        wire.handshake("/ws/")
        wire.send(frame(TEXT, top.encode()) + frame(TEXT, b'{"type":"ping"}'))
        error = wire.take_message()
        assert error["type"] == "error"
        assert error["code"] in ("malformed_json", "malformed_request", "invalid")
        assert wire.take_message() == {"type": "pong"}


NOT_AN_INTEGER = ["1.0", "1e0", "1.5", "-0", "1E2", "true", '"1"', "null", "[]", "{}"]
NO_SUCH_INTEGER = ["-1", "0", "2147483648", "9007199254740993", "9223372036854775807"]
TOO_LARGE = ["9223372036854775808", "18446744073709551616", "9" * 400, "1e999", "1e-999",
             "-9223372036854775809"]  # fmt: skip


@pytest.mark.parametrize("number", NOT_AN_INTEGER)
def test_only_an_integer_is_an_id(gateway, poll, number):
    answer = posted(
        gateway, "/votes/", f'{{"poll_id":{poll.id},"option_id":{number},"voter":"v"}}'.encode()
    )
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.json()["error"]["field"] == "option_id"


def with_number(poll, number: str):
    """Ballots with it where an integer belongs: the member, and what is not found by it."""
    return (
        (f'{{"poll_id":{poll.id},"option_id":{number},"voter":"v"}}', "option_id", "option"),
        (f'{{"poll_id":{poll.id},"option_ids":[{number}],"voter":"v"}}', "option_ids", "option"),
        (f'{{"poll_id":{number},"option_id":{poll.options[0]},"voter":"v"}}', "poll_id", "poll"),
    )


@pytest.mark.parametrize("number", NO_SUCH_INTEGER)
def test_an_integer_that_is_no_id_finds_nothing(gateway, poll, number):  # E06
    for body, _, what in with_number(poll, number):
        answer = posted(gateway, "/votes/", body.encode())
        assert (answer.status, answer.code) == (404, f"{what}_not_found"), body
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("number", TOO_LARGE, ids=lambda number: number[:22])
def test_what_no_integer_can_hold_is_refused_by_name(gateway, poll, number):  # E07
    for body, field, _ in with_number(poll, number):
        answer = posted(gateway, "/votes/", body.encode())
        assert (answer.status, answer.code) == (422, "invalid"), body
        assert answer.json()["error"]["field"] == field
    assert gateway.results(poll)["total"] == 0


@pytest.mark.parametrize("members", [{}, {"type": None}, {"type": 5}, {"type": ["ping"]}], ids=str)
def test_a_message_without_a_type_is_refused_and_the_socket_stays(gateway, members):
    with Viewer(gateway) as viewer:
        viewer.send(**members)
        error = viewer.receive()
        assert error["type"] == "error"
        assert error["code"] in ("malformed_request", "invalid")
        assert viewer.said_by_now() == []


DEEP_ENOUGH = b'{"title":"t","options":["a","b"],"x":' + b"[" * 31 + b"]" * 31 + b"}"
FINE = {
    "E03 depth 32": DEEP_ENOUGH,
    "E06 numbers nobody reads": b'{"title":"t","options":["a","b"],"x":[1.5,-0,1e9,1E-2,1e999]}',
    "spaces everywhere": b' \t\r\n{ "title" : "t" , "options" : [ "a" ,\n"b" ] } \r\n',
    "every escape": rb'{"title":"\u0041\"\\\/\b\f\n\r\t\ud83c\udf89","options":["a","b"]}',
    "escaped names": rb'{"t\u0069tle":"t","options":["a","b"]}',
    "E22 a long string": b'{"title":"t","options":["a","b"],"x":"' + b"y" * 60_000 + b'"}',
    "E22 a long number": b'{"title":"t","options":["a","b"],"x":' + b"1" * 60_000 + b"}",
    "many members": json.dumps(
        {"title": "t", "options": ["a", "b"]} | {f"x{n}": n for n in range(500)}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("row", FINE)
def test_unusual_json_is_json(gateway, row):
    answer = posted(gateway, "/polls/", FINE[row])
    if row == "every escape":  # control characters in a title may be refused as such
        assert answer.status in (201, 422)
    else:
        assert answer.status == 201, answer.body
    if row == "escaped names":
        assert answer.json()["title"] == "t"


@pytest.mark.parametrize("value", ["'; DROP TABLE ballots; --", '" OR 1=1', "\\.", "\\N", "a\tb",
                                   "%s%n", "{{7*7}}", "${x}"])  # fmt: skip
def test_no_name_is_ever_a_command(gateway, poll, value):
    before = gateway.stored_ballots()
    gateway.cast(poll, 0, value)
    assert gateway.vote(poll, 0, value).json()["repeated"] is True
    assert gateway.stored_ballots() == before + 1
    assert gateway.results(poll)["counts"] == [1, 0]
