"""Peers that cut, pipeline, hang up and never read: BAD_INPUT sections A, B and I6 to I8."""

import random

import pytest

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


def test_two_hundred_fields_whose_names_collide_are_refused_like_any_others(gateway):
    with Wire(gateway) as wire:
        wire.send(get("/polls/", *["X-Same: y"] * 90))
        assert wire.answer().status == 200
        wire.send(get("/polls/", *["X-Same: y"] * 200))
        assert wire.answer().status == 431
