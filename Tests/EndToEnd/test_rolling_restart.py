"""Three gateways behind HAProxy, replaced one after another while people watch and vote."""

import asyncio
import contextlib
import json
import random
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import connect

from live import CONNECTION_LOST
from ports import free_port
from postgres import Server, open_to_all, unprivileged
from voting import Receipts, ballots_for, cast_over_websocket, in_threads, join, names_until

pytestmark = [pytest.mark.postgres, pytest.mark.alone]

VIEWERS = 300
BACK_WITHIN = 2 * 5


class Audience:
    """Viewers that come back when they are sent away, on an event loop of their own."""

    def __init__(self, url: str, poll, count: int):
        self.url, self.poll = url, poll
        self.totals = [-1] * count
        self.gaps: list[float] = []
        self.returned: set[int] = set()
        self.fault: str | None = None
        self._stopped = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch_all()))
        self._thread.start()

    async def _watch_all(self):
        await asyncio.gather(*(self._watch(number) for number in range(len(self.totals))))

    async def _watch(self, number: int):
        lost = None
        while not self._stopped:
            try:
                async with connect(
                    f"{self.url}/ws/polls/{self.poll.id}/", proxy=None, compression=None,
                    close_timeout=1, open_timeout=5,
                ) as socket:  # fmt: skip
                    while not self._stopped:
                        with contextlib.suppress(TimeoutError):
                            message = json.loads(await asyncio.wait_for(socket.recv(), 0.3))
                            self._take(number, message)
                            if lost is not None:
                                self.gaps.append(time.monotonic() - lost)
                                self.returned.add(number)
                                lost = None
            except CONNECTION_LOST:
                lost = lost or time.monotonic()
                await asyncio.sleep(random.uniform(0.02, 0.2))

    def _take(self, number: int, message: dict):
        if message["type"] == "snapshot":
            total = message["poll"]["total_votes"]
        elif message["type"] == "tally":
            total = message["total"]
        else:
            return
        if total < self.totals[number]:
            self.fault = f"viewer {number}: {self.totals[number]}, then {message}"
        self.totals[number] = total

    def stop(self):
        self._stopped = True
        self._thread.join(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@pytest.fixture
def database():
    server = Server()
    yield server.create_database()
    server.remove()


@contextlib.contextmanager
def balanced(ports, folder):
    """HAProxy in front of gateways at `(port, ops_port)`s. Yields its port."""
    front = free_port()
    servers = "\n".join(
        f"    server gateway-{port} 127.0.0.1:{port} check port {ops}" for port, ops in ports
    )
    settings = folder / "haproxy.cfg"
    settings.write_text(
        f"""
defaults
    mode tcp
    timeout connect 2s
    timeout client 2m
    timeout server 2m
listen polls
    bind 127.0.0.1:{front}
    balance leastconn
    option httpchk GET /readyz
    option redispatch
    retries 3
    default-server inter 100ms fall 1 rise 1 send-proxy-v2
{servers}
"""
    )
    open_to_all(folder)
    balancer = subprocess.Popen(
        [*unprivileged(), "haproxy", "-db", "-f", settings],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield front
    finally:
        balancer.terminate()
        balancer.wait()


def wait_for(reached, what, seconds: float = BACK_WITHIN):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@pytest.mark.timeout(240)
def test_gateways_are_replaced_under_viewers_and_votes(database, redis, start_gateway, tmp_path):
    ports = [(free_port(), free_port()) for _ in range(3)]
    gateways = [
        start_gateway(
            "--listen", f"127.0.0.1:{port}", "--ops-listen", f"127.0.0.1:{ops}", "--redis",
            redis.url, "--proxy-protocol", "optional", "--drain", "3s", "--drain-delay", "500ms",
            without=("--listen", "--ops-listen"), store=database,
        )
        for port, ops in ports
    ]  # fmt: skip
    poll = gateways[0].create_poll(["a", "b", "c"])
    with balanced(ports, tmp_path) as front:
        entrance = SimpleNamespace(
            websocket_url=f"ws://127.0.0.1:{front}", url=f"http://127.0.0.1:{front}",
            up=threading.Event(),
        )  # fmt: skip
        entrance.up.set()
        with Audience(entrance.websocket_url, poll, VIEWERS) as audience:
            wait_for(lambda: min(audience.totals) >= 0, lambda: "not everybody came in", 30)
            stop, receipts = threading.Event(), Receipts()
            voters = in_threads(
                *(
                    (cast_over_websocket, entrance, poll,
                     ballots_for(poll, names_until(stop, f"voter {number}")), receipts, 8)
                    for number in range(4)
                )
            )  # fmt: skip
            try:
                for gateway in gateways:
                    receipts.wait_for(len(receipts.outcomes) + 200)
                    gateway.stop()
                    gateway.start()
                    wait_for(lambda g=gateway: g.ops("GET", "/readyz").status_code == 200, str)
                    time.sleep(0.5)
            finally:
                stop.set()
            join(voters)
            total = len(receipts.outcomes)
            wait_for(
                lambda: min(audience.totals) == max(audience.totals) == total,
                lambda: f"{sum(t != total for t in audience.totals)} viewers do not hold {total}",
            )
    assert audience.fault is None
    # K09: everybody sat on one of the three, and was sent away from there once at least.
    assert audience.returned == set(range(VIEWERS)), "who was sent away came back"
    assert max(audience.gaps) < BACK_WITHIN
    # A ballot whose socket went before its answer is sent again, and counts once.
    assert set(receipts.outcomes.values()) <= {"counted", "repeated"}
    assert database.stored_ballots() == total == gateways[0].results(poll)["total"]
    assert gateways[0].audit(poll)["consistent"] is True


@pytest.mark.timeout(120)
def test_viewers_of_others_do_not_notice_that_a_gateway_is_killed(database, redis, start_gateway):
    doomed, one, other = (start_gateway("--redis", redis.url, store=database) for _ in range(3))
    for gateway in (doomed, one, other):
        gateway.up.set()
    poll = one.create_poll(["a", "b", "c"])
    with (
        Audience(one.websocket_url, poll, 50) as here,
        Audience(other.websocket_url, poll, 50) as there,
    ):
        audiences = (here, there)
        totals = [audience.totals for audience in audiences]
        wait_for(lambda: min(map(min, totals)) >= 0, lambda: "not everybody came in", 30)
        stop, receipts, lost = threading.Event(), Receipts(), Receipts()
        voters = in_threads(
            *(
                (cast_over_websocket, gateway, poll,
                 ballots_for(poll, names_until(stop, f"voter {number}")), receipts, 8)
                for number, gateway in enumerate((one, other))
            )
        )  # fmt: skip
        ended = threading.Event()
        unlucky = in_threads(
            (cast_over_websocket, doomed, poll,
             ballots_for(poll, names_until(ended, "unlucky")), lost, 8)
        )  # fmt: skip
        try:
            lost.wait_for(200)
            doomed.kill()
            seen = len(receipts.outcomes)
            receipts.wait_for(seen + 500)
        finally:
            ended.set()
            doomed.start()
            join(unlucky)
            stop.set()
        join(voters)
        total = len(receipts.outcomes) + len(lost.outcomes)
        wait_for(
            lambda: all(min(each) == max(each) == total for each in totals),
            lambda: f"not every viewer holds {total}",
        )
        for audience in audiences:
            assert audience.fault is None
            assert audience.gaps == [], "nobody was sent away"
    assert database.stored_ballots() == total == one.results(poll)["total"]
    assert one.audit(poll)["consistent"] is True
