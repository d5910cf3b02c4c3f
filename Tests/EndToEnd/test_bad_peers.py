"""Peers that cut, pipeline, hang up and never read: BAD_INPUT sections A, B and I6 to I8."""

import contextlib
import itertools
import random
import select

import pytest

import faults
from gateway import limits
from wire import Wire, ballot, get, request

# The store makes no difference.
pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway(reached_both_ways):
    return reached_both_ways


def test_a_request_byte_by_byte_is_one_request(gateway, poll):
    with Wire(gateway) as wire:
        for byte in ballot(poll, "ada"):
            wire.send(bytes([byte]))
        assert wire.answer().status == 201


def test_a_request_cut_anywhere_is_waited_for_and_then_dropped(start_gateway):
    gateway = start_gateway(*limits(header_timeout="700ms", body_timeout="700ms"))
    poll = gateway.create_poll()
    data = ballot(poll, "cut")
    wires = [Wire(gateway) for _ in range(1, len(data))]
    for count, wire in enumerate(wires, start=1):
        wire.send(data[:count])
    for wire in wires:
        rest = wire.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408 "), rest
        wire.socket.close()
    assert gateway.stored_ballots() == 0


def test_a_hundred_pipelined_requests_get_a_hundred_answers_in_order(gateway):
    polls = [gateway.create_poll() for _ in range(10)]
    ids = [poll.id for poll in polls] * 10
    with Wire(gateway) as wire:
        wire.send(b"".join(get(f"/polls/{poll_id}/") for poll_id in ids))
        assert [wire.answer().json()["id"] for _ in ids] == ids


def test_pipelined_ballots_and_reads_are_answered_in_order(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(
            b"".join(ballot(poll, f"voter {n}") + get(f"{poll.path}results/") for n in range(20))
        )
        for _ in range(20):
            assert wire.answer().json()["status"] == "counted"
            assert wire.answer().json()["poll_id"] == poll.id
    assert gateway.results(poll)["total"] == 20


def test_a_malformed_request_behind_good_ones_spoils_none_of_their_answers(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(ballot(poll, "ada") + get(poll.path) + b"GET / HTTP/1.1\nHost: x\n\n")
        assert [wire.answer().status for _ in range(3)] == [201, 200, 400]
        assert wire.rest() == b""


def test_ten_thousand_requests_of_a_peer_that_does_not_read_cost_little(gateway):
    before = gateway.resident_bytes()
    data = get("/polls/?state=all") * 10_000
    with Wire(gateway, receive_buffer=4096) as wire:
        wire.socket.setblocking(False)
        sent = 0
        while sent < len(data):
            try:
                sent += wire.socket.send(data[sent : sent + 65536])
            except BlockingIOError:
                break  # the gateway stopped reading: that is what it should do
        assert gateway.get("/polls/").status_code == 200
        assert gateway.resident_bytes() - before < 32 << 20
        wire.socket.settimeout(15)
        for _ in range(100):
            assert wire.answer().status == 200
    assert gateway.get("/polls/").status_code == 200


def send_until_stuck(wire: Wire, data: bytes, most: int, seconds: float = 1) -> int:
    """Sends `data` over and over until the peer has taken nothing for so long. How much it took."""
    wire.socket.setblocking(False)
    view, sent = memoryview(data), 0
    while sent < most:
        if not select.select([], [wire.socket], [], seconds)[1]:
            break
        with contextlib.suppress(BlockingIOError):
            sent += wire.socket.send(view[sent % len(data) :])
    return sent


def test_of_a_peer_that_does_not_read_no_more_requests_are_read(gateway):  # A38
    for _ in range(40):
        gateway.create_poll([f"option {n} " * 20 for n in range(20)])
    before, most = gateway.resident_bytes(), 64 << 20
    # More than all buffers on the way hold, of which each kilobyte asks for megabytes.
    data = get("/polls/?state=all&page_size=100") * 10_000
    with Wire(gateway, receive_buffer=4096) as wire:
        assert send_until_stuck(wire, data, most) < most, "it reads on and on"
        assert gateway.get("/polls/").status_code == 200
        assert gateway.resident_bytes() - before < 32 << 20
        wire.socket.settimeout(15)
        for _ in range(10):
            assert wire.answer().status == 200


def test_an_answer_is_delivered_to_a_peer_that_has_finished_sending(gateway, poll):
    with Wire(gateway) as wire:
        wire.send(ballot(poll, "ada"))
        wire.finish_sending()
        assert wire.answer().status == 201
        assert wire.rest() == b""


@pytest.mark.parametrize("cut", [None, -3, 20], ids=["whole", "in the body", "in the head"])
def test_a_peer_that_resets_its_connection_costs_nobody_else(gateway, poll, cut):
    for number in range(50):
        wire = Wire(gateway)
        wire.send(ballot(poll, f"gone {number}")[:cut])
        wire.reset()
    assert gateway.vote(poll, 0, "still here").status_code == 201
    assert gateway.audit(poll)["consistent"] is True


def test_http_1_0_is_closed_after_its_answer(gateway):
    with Wire(gateway) as wire:
        wire.send(request("GET /polls/ HTTP/1.0"))
        assert wire.answer().status == 200
        assert wire.rest() == b""


def test_connection_close_is_honoured(gateway):
    with Wire(gateway) as wire:
        wire.send(get("/polls/", "Connection: close") + get())
        answer = wire.answer()
        assert answer.fields["connection"].lower() == "close"
        assert wire.rest() == b""


def test_a_megabyte_of_noise_is_one_refusal_at_most(gateway):
    noise = random.Random(7).randbytes(1 << 20)
    with Wire(gateway) as wire:
        wire.send(noise)
        assert wire.rest().count(b"HTTP/1.1 400") <= 1
    assert gateway.get("/polls/").status_code == 200


def test_other_protocols_are_not_worth_a_line_each(start_gateway):  # A54
    gateway = start_gateway()
    lines = len(gateway.log)
    noise = random.Random(54).randbytes(4096)
    for data in (bytes.fromhex("16030100c8010000c40303"), b"SSH-2.0-OpenSSH_9.2\r\n\r\n", noise):
        for _ in range(50):
            with Wire(gateway) as wire:
                wire.send(data + b"\r\n\r\n")
                wire.rest()
    assert len(gateway.log) - lines < 15, gateway.log_text()


def seconds_used(gateway, data: bytes, times: int, status: int) -> float:
    """Of the processor, for so many of this request on one connection."""
    used = faults.cpu_seconds(gateway)
    with Wire(gateway) as wire:
        for _ in range(0, times, 20):
            wire.send(data * 20)
            for _ in range(20):
                assert wire.answer().status == status
    return faults.cpu_seconds(gateway) - used


def test_fields_whose_names_are_alike_cost_what_any_others_do(gateway):  # A46
    """Of the same letters, length, ends and sum: whatever a table might go by."""
    letters = "abcdefgh"
    alike = itertools.islice(itertools.permutations(letters), 95)
    alike = [f"X-{''.join(each)}-X: y" for each in alike]
    others = [f"{n % 7 * 'q'}{n}-{'other' * (n % 3)}: y" for n in range(95)]
    usual = seconds_used(gateway, get("/polls/", *others), 400, 200)
    assert seconds_used(gateway, get("/polls/", *alike), 400, 200) < 5 * usual + 0.5
    assert seconds_used(gateway, get("/polls/", *["X-Same: y"] * 95), 400, 200) < 5 * usual + 0.5
    with Wire(gateway) as wire:
        wire.send(get("/polls/", *["X-Same: y"] * 200))
        assert wire.answer().status == 431


ROUTES = {
    "an unknown word": "/" + "x" * 7_000,
    "thousands of folders": "/x" * 3_500,
    "thousands of polls": "/polls/1" * 800 + "/",
    "escapes": "/" + "%78" * 2_300,
    "slashes": "/" * 7_000,
    "digits": "/polls/" + "9" * 7_000 + "/",
}


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_that_leads_nowhere_costs_little_however_long_it_is(gateway, route):  # B11
    assert seconds_used(gateway, get(ROUTES[route]), 400, 404) < 1
    with Wire(gateway) as wire:
        wire.send(get(ROUTES[route] + "x" * 2_000))
        assert wire.answer().status == 414
        assert wire.rest() == b""
