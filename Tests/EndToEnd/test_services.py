"""`--services`: what one binary does may be spread over processes on one database."""

import pytest
from websockets.exceptions import InvalidStatus

from answers import refused
from gateway import run_to_end
from live import Viewer
from postgres import server_fixture

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


@pytest.mark.parametrize("names", ["", "poll", "polls,", "polls, votes"])
def test_unknown_services_are_refused(names):
    done = run_to_end("check", "--services", names)
    assert done.returncode != 0
    assert "polls,votes,live" in done.stderr
