"""The ops listener, and how a gateway ends."""

import signal
import threading
import time

import pytest

import prometheus
from gateway import limits
from live import Viewer
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join, names_until
from wire import Wire, ballot, get, upgrade

pytestmark = pytest.mark.takes(20)


def test_a_gateway_that_runs_is_live_and_ready(gateway):
    assert gateway.ops("GET", "/livez").status_code == 200
    assert gateway.ops("GET", "/readyz").status_code == 200


def test_metrics_are_prometheus_text_and_move(gateway, poll):
    before = gateway.ops("GET", "/metrics")
    assert before.status_code == 200
    assert before.headers["Content-Type"].startswith("text/plain")
    samples = prometheus.parse(before.text)
    assert samples
    with Viewer(gateway, f"/ws/polls/{poll.id}/"):
        gateway.cast(poll, 0, "ada")
        after = prometheus.parse(gateway.ops("GET", "/metrics").text)
    assert any(after[name] > value for name, value in samples.items() if name in after)
    assert all(name.startswith(("pollstream_", "process_")) for name in after)


def test_metrics_never_name_a_voter_or_a_key(gateway, poll):
    gateway.cast(poll, 0, "very-particular-name")
    text = gateway.ops("GET", "/metrics").text
    assert "very-particular-name" not in text
    assert poll.host_key not in text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/drain"])
def test_operations_are_not_on_the_public_listener(gateway, path):
    assert gateway.call("GET", path).status_code == 404
    assert gateway.call("POST", path).status_code in (404, 405)


def test_only_the_operations_are_on_the_ops_listener(gateway):
    for path in ("/polls/", "/ws/", "/nowhere", "/page.js", "/icon.svg"):
        assert gateway.ops("GET", path).status_code == 404


def test_drain_is_asked_for_by_post_alone(gateway):
    answer = gateway.ops("GET", "/drain")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert gateway.ops("GET", "/readyz").status_code == 200


def test_the_ops_listener_may_be_off(start_gateway):
    gateway = start_gateway("--ops-listen", "off", without=("--ops-listen",))
    assert gateway.ops_url is None
    assert "ops on" not in gateway.log_text()
    assert gateway.get("/polls/").status_code == 200


# Draining


def test_an_idle_gateway_ends_with_0_on_sigterm(start_gateway):
    gateway = start_gateway()
    gateway.terminate()
    assert gateway.wait() == 0


def test_an_idle_gateway_ends_with_0_on_sigint(start_gateway):
    gateway = start_gateway()
    gateway.up.clear()
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.wait() == 0


def test_an_idle_gateway_ends_with_0_on_post_drain(start_gateway):
    gateway = start_gateway()
    answer = gateway.ops("POST", "/drain?seconds=5")
    assert answer.status_code == 202
    assert gateway.wait() == 0


def said(gateway, words: str, times: int = 1):
    """Waits until the log has a line with these words so often."""
    deadline = time.monotonic() + 20
    while (text := gateway.log_text()).count(words) < times:
        assert time.monotonic() < deadline, f"no {words!r} in:\n{text}"
        time.sleep(0.01)


def test_other_signals_kill_nobody(gateway):
    for number in (signal.SIGPIPE, signal.SIGRTMIN, signal.SIGHUP):
        gateway.process.send_signal(number)
    said(gateway, "nothing to reload")
    assert gateway.get("/polls/").status_code == 200


def test_signals_make_the_log_more_and_less_talkative(start_gateway):
    gateway = start_gateway("--log-level", "notice")
    for number, level in [
        (signal.SIGUSR1, "info"),
        (signal.SIGUSR1, "debug"),
        (signal.SIGUSR1, "debug"),  # the lowest stays
        (signal.SIGUSR2, "info"),
        (signal.SIGUSR2, "notice"),
        (signal.SIGUSR2, "warning"),
    ]:
        lines = gateway.log_text().count(f"log level level={level}")
        gateway.process.send_signal(number)
        said(gateway, f"log level level={level}", lines + 1)
    # A notice, which is not written at this level; of signals that wait, SIGHUP is taken first.
    gateway.process.send_signal(signal.SIGHUP)
    gateway.process.send_signal(signal.SIGUSR1)
    said(gateway, "log level level=notice", 2)
    gateway.process.send_signal(signal.SIGHUP)
    said(gateway, "nothing to reload")
    assert gateway.log_text().count("nothing to reload") == 1


def test_viewers_of_a_draining_gateway_are_sent_away_each_at_its_own_time(start_gateway):
    gateway = start_gateway("--drain", "4s")
    poll = gateway.create_poll()
    viewers = [Viewer(gateway, f"/ws/polls/{poll.id}/") for _ in range(20)]
    for viewer in viewers:
        viewer.until("snapshot")
    gateway.terminate()
    delays = [viewer.until("draining")["reconnect_in_ms"] for viewer in viewers]
    assert all(type(delay) is int and 0 <= delay <= 4000 for delay in delays)
    assert len(set(delays)) > len(viewers) // 2
    assert max(delays) - min(delays) >= 1000
    assert [viewer.close_code() for viewer in viewers] == [1001] * len(viewers)
    assert gateway.wait() == 0


def test_a_draining_gateway_says_so(start_gateway):
    gateway = start_gateway("--drain", "30s")
    poll = gateway.create_poll()
    keepers = [Viewer(gateway, f"/ws/polls/{poll.id}/") for _ in range(20)]
    with Wire(gateway) as kept_alive:
        kept_alive.send(get())
        assert kept_alive.answer().status == 200
        gateway.terminate()
        keepers[0].until("draining")
        assert gateway.ops("GET", "/readyz").status_code == 503
        assert gateway.ops("GET", "/livez").status_code == 200
        assert is_turned_away(gateway, get())
        assert is_turned_away(gateway, upgrade("/ws/"))
    for keeper in keepers:
        keeper.socket.close()
    assert gateway.wait(40) == 0


def is_turned_away(gateway, data: bytes) -> bool:
    """Whether a new connection is refused, or answered that the gateway is draining."""
    try:
        with Wire(gateway) as wire:
            wire.send(data)
            rest = wire.rest()
    except ConnectionError:
        return True
    return rest == b"" or (rest.startswith(b"HTTP/1.1 503 ") and b'"draining"' in rest)


def test_what_was_under_way_when_the_drain_began_is_answered_but_no_handshake(start_gateway):  # C19
    gateway = start_gateway("--drain", "30s")
    poll = gateway.create_poll()
    asked = {"handshake": upgrade("/ws/"), "read": get(), "vote": ballot(poll, "ada")}
    keepers = [Viewer(gateway, f"/ws/polls/{poll.id}/") for _ in range(20)]
    wires = {name: Wire(gateway) for name in asked}
    for name, wire in wires.items():
        # Each has been answered once, and has sent half of what is next.
        wire.send(get() + asked[name][:-3])
        assert wire.answer().status == 200
    gateway.terminate()
    keepers[0].until("draining")
    for (name, wire), status in zip(wires.items(), (503, 200, 201), strict=True):
        wire.send(asked[name][-3:])
        answer = wire.answer()
        assert answer.status == status, name
        assert answer.fields["connection"].lower() == "close"
        if status == 503:
            assert answer.code == "draining" and answer.fields["retry-after"].isdigit()
        assert wire.rest() == b""
    gateway.terminate()
    gateway.wait(10)
    assert gateway.stored_ballots() == 1


def test_before_the_drain_begins_all_is_served_but_nobody_new_is_sent_here(start_gateway):
    gateway = start_gateway("--drain-delay", "2s", "--drain", "1s")
    poll = gateway.create_poll()
    gateway.terminate()
    deadline = time.monotonic() + 1.5
    while gateway.ops("GET", "/readyz").status_code != 503:
        assert time.monotonic() < deadline
    gateway.cast(poll, 0, "ada")
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
    assert gateway.wait() == 0


def test_a_second_sigterm_stops_at_once(start_gateway):
    gateway = start_gateway("--drain", "300s")
    poll = gateway.create_poll()
    viewers = [Viewer(gateway, f"/ws/polls/{poll.id}/") for _ in range(10)]
    gateway.terminate()
    for viewer in viewers:
        viewer.until("draining")
    gateway.terminate()
    gateway.wait(10)


def test_a_drain_takes_no_longer_than_it_may(start_gateway):
    gateway = start_gateway("--drain", "1s")
    poll = gateway.create_poll()
    with Wire(gateway) as silent:
        silent.handshake(f"/ws/polls/{poll.id}/")
        with Wire(gateway) as half:
            half.send(b"GET /polls/ HTTP/1.1\r\nHost:")
            gateway.terminate()
            assert gateway.wait(15) == 0


def test_a_drain_ends_in_time_while_storage_is_away(start_gateway):  # K03
    gateway = start_gateway("--drain", "2s", *limits(commit_timeout="20s"))
    poll = gateway.create_poll()
    with gateway.storage_stalled(), Wire(gateway) as voter:
        voter.send(ballot(poll, "ada"))
        time.sleep(0.5)
        began = time.monotonic()
        gateway.terminate()
        assert gateway.wait(15) == 0
        assert time.monotonic() - began < 2 + 3
        # It is told that nobody knows, or nothing: never that it counts.
        assert b" 201 " not in voter.rest()
    gateway.start()
    assert gateway.vote(poll, 0, "ada").status_code in (200, 201)
    assert gateway.results(poll)["total"] == 1 == gateway.stored_ballots()


def test_a_drain_waits_for_no_reader_that_has_stopped(start_gateway):  # K03
    gateway = start_gateway("--drain", "1s")
    for _ in range(40):
        gateway.create_poll([f"option {n} " * 20 for n in range(20)])
    with Wire(gateway, receive_buffer=2048) as reader:
        reader.send(get("/polls/?page_size=100") * 100)
        time.sleep(0.5)
        began = time.monotonic()
        gateway.terminate()
        assert gateway.wait(15) == 0
        assert time.monotonic() - began < 1 + 3


def test_ballots_answered_while_draining_are_stored(start_gateway):
    gateway = start_gateway("--drain", "2s")
    poll = gateway.create_poll()
    stop, receipts = threading.Event(), Receipts()
    ballots = ballots_for(poll, names_until(stop))
    voters = in_threads((cast_over_websocket, gateway, poll, ballots, receipts))
    receipts.wait_for(200)
    gateway.terminate()
    assert gateway.wait() == 0
    told = len(receipts.having("counted"))
    assert gateway.stored_ballots() >= told
    gateway.start()
    stop.set()
    join(voters)
    assert gateway.stored_ballots() == len(receipts.having("counted")) >= told
    assert gateway.results(poll)["counts"] == receipts.counts(poll)
    assert gateway.audit(poll)["consistent"] is True


def test_what_was_stored_is_there_after_a_restart(start_gateway):
    gateway = start_gateway()
    poll = gateway.create_poll(["a", "b", "c"], description="kept")
    gateway.cast(poll, 2, "ada")
    before = gateway.poll(poll)
    gateway.stop()
    gateway.start()
    assert gateway.poll(poll) == before
    assert gateway.vote(poll, 2, "ada").json()["repeated"] is True
    assert gateway.close(poll)["revision"] > before["revision"]


def test_a_full_log_pipe_stops_nobody(start_gateway):
    gateway = start_gateway(*limits(header_timeout="300ms"), "--log-level", "debug")
    for _ in range(300):
        with Wire(gateway) as wire:
            wire.send(b"\x00\x1b[31mred\r\nGET")
    assert gateway.get("/polls/").status_code == 200
    assert "\x1b[31m" not in gateway.log_text(2000)
