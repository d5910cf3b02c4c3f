"""`--services`: what one binary does may be spread over processes on one database."""

import re

import pytest
from websockets.exceptions import InvalidStatus

from answers import refused
from balancer import PathBalancer
from events import EventStream
from gateway import REPOSITORY, eventually, run_to_end
from live import Viewer
from postgres import server_fixture
from test_proxy_protocol import ballot, said, status

pytestmark = pytest.mark.postgres


server = server_fixture(fsync="off")


@pytest.fixture
def database(server):
    return server.create_database()


def test_each_service_by_a_process_of_its_own(database, start_gateway):
    polls, votes, live = (
        start_gateway("--services", name, store=database) for name in ("polls", "votes", "live")
    )
    poll = polls.create_poll(["Yes", "No"])
    with Viewer(live, f"/ws/polls/{poll.id}/") as viewer:
        viewer.until("snapshot")
        votes.cast(poll, 1, "ada")
        assert viewer.until("tally", total=1)["counts"] == [0, 1]
        answer = viewer.vote(poll, 0, voter="bob")
        assert (answer["type"], answer["code"]) == ("error", "not_found")
        polls.close(poll)
        viewer.until("state", state="closed")
    assert polls.results(poll)["total"] == 1
    assert polls.audit(poll)["consistent"] is True
    for gateway in (polls, live):
        refused(gateway.vote(poll, 0, "bob"), 404, "not_found")
        refused(gateway.get("/votes/"), 404, "not_found")
    for gateway in (votes, live):
        for path in ("/polls/", poll.path, f"{poll.path}results/", "/", f"/p/{poll.id}"):
            refused(gateway.get(path), 404, "not_found")
    for gateway in (polls, votes):
        with pytest.raises(InvalidStatus) as caught:
            Viewer(gateway, f"/ws/polls/{poll.id}/")
        assert caught.value.response.status_code == 404
        refused(gateway.get(f"{poll.path}events/"), 404, "not_found")
    for gateway in (polls, votes, live):
        assert gateway.ops("GET", "/readyz").status_code == 200
        gateway.terminate()
        assert gateway.wait() == 0


def test_a_process_without_votes_opens_no_ledger(database, start_gateway):
    """Sessions of the database: a ledger's, a catalogue's, two of exports, at most."""
    live = start_gateway("--services", "live", "--ledger-connections", "8", store=database)
    assert live.ops("GET", "/readyz").status_code == 200
    sessions = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'pollstream%'"
    )[0][0]
    assert sessions <= 3


def test_two_services_in_one_process(database, start_gateway):
    gateway = start_gateway("--services", "votes,polls", store=database)
    gateway.cast(gateway.create_poll(), 0, "ada")


# On one address


@pytest.fixture
def parts(database, redis, start_gateway):
    """A process for each part, as deploy/haproxy.services.cfg says."""
    options = ("--redis", redis.url, "--trusted-proxy", "127.0.0.1/32", "--rate-votes", "3/min")
    return {
        name: start_gateway("--services", name, *options, store=database)
        for name in ("polls", "votes", "live")
    }


@pytest.fixture
def whole(parts, tmp_path):
    """What clients see as one gateway: the balancer in front of the parts."""
    with PathBalancer(parts, tmp_path) as balancer:
        front = parts["polls"]
        front.reach_at(*balancer.address)
        # Its servers are down until they have been asked once.
        for path in ("/polls/", "/votes/", "/ws/"):
            eventually(lambda path=path: front.call("OPTIONS", path).status_code == 204)
        yield front


def routes() -> list[str]:
    """Every path of the public API, of whatever part."""
    source = (REPOSITORY / "Sources/Gateway/Routes.swift").read_text()
    public = source.split("static let operations")[0]
    found = re.findall(r'Route\(\s*"([^"]+)"', public)
    assert {"/", "/votes/", "/ws/", "/ws/global", "/polls/{id}/events/"} <= set(found)
    return found


def test_behind_a_balancer_that_routes_by_path_they_are_one_gateway(whole, parts):
    poll = whole.create_poll(["Yes", "No"])
    for route in routes():
        path = route.replace("{id}", str(poll.id)).replace("{code}", "abcdef")
        assert whole.call("OPTIONS", path).status_code == 204, path
    assert "<html" in whole.get(f"/p/{poll.id}").text
    with Viewer(whole, f"/ws/polls/{poll.id}/") as viewer, EventStream(whole, poll) as stream:
        viewer.until("snapshot")
        stream.until("snapshot")
        whole.cast(poll, 1, "ada")
        assert viewer.until("tally", total=1)["counts"] == [0, 1]
        assert stream.until("tally")["data"]["total"] == 1
        whole.close(poll)
        viewer.until("state", state="closed")
    assert whole.results(poll)["total"] == 1
    assert whole.audit(poll)["consistent"] is True
    refused(whole.get("/nowhere/"), 404, "not_found")
    # Where a part is away the others go on, and voters are told to come again.
    parts["votes"].stop()
    answer = whole.vote(poll, 0, "bob")
    refused(answer, 503, "overloaded")
    assert answer.headers["Retry-After"] == "1"
    assert whole.get("/polls/").status_code == 200


def test_behind_it_a_rate_is_of_the_client_and_nobody_names_another(whole):
    poll = whole.create_poll()

    def cast(source: str, number: int, *lines: bytes) -> int:
        request = ballot(poll, f"{source} {number}")
        for line in lines:
            request = request.replace(b"Host: x\r\n", b"Host: x\r\n" + line + b"\r\n")
        return status(said(whole.address, request, source=source))

    assert [cast("127.0.0.10", number) for number in range(4)] == [201, 201, 201, 429]
    assert cast("127.0.0.10", 4, b"X-Forwarded-For: 192.0.2.1") == 429
    assert cast("127.0.0.11", 0) == 201


@pytest.mark.parametrize("names", ["", "poll", "polls,", "polls, votes"])
def test_unknown_services_are_refused(names):
    done = run_to_end("check", "--services", names)
    assert done.returncode != 0
    assert "polls,votes,live" in done.stderr
