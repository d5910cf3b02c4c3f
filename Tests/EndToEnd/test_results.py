"""The tally of a poll, its ballots, and the audit of both."""

import pytest

from answers import TIME, refused, rows
from voting import Receipts, ballots_for, cast_over_websocket


@pytest.fixture
def counted(gateway):
    """A poll with three ballots: two for the first option, one for the third."""
    poll = gateway.create_poll(["plain", 'with "quotes", commas', "third\nline"])
    for voter, choice in (("ada", 0), ("bob", 0), ("cyd", 2)):
        gateway.cast(poll, choice, voter)
    return poll


def test_results_are_the_tally(gateway, counted):
    results = gateway.results(counted)
    assert set(results) == {"poll_id", "revision", "state", "total", "counts", "options"}
    assert results["poll_id"] == counted.id
    assert results["state"] == "open"
    assert results["total"] == 3
    assert results["counts"] == [2, 0, 1]
    assert [option["id"] for option in results["options"]] == counted.options
    assert [option["vote_count"] for option in results["options"]] == [2, 0, 1]
    assert results["revision"] == gateway.poll(counted)["revision"]


@pytest.mark.parametrize(
    "way",
    [{"headers": {"Accept": "text/csv"}}, {"params": {"format": "csv"}}],
    ids=["Accept", "format"],
)
def test_results_come_as_csv_to_who_asks_for_it(gateway, counted, way):
    answer = gateway.get(counted.path + "results/", **way)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    text = answer.content.decode()
    assert text.splitlines()[0] == "option_id,text,votes"
    records = rows(text)
    assert [int(record["option_id"]) for record in records] == counted.options
    assert [record["text"] for record in records] == [o["text"] for o in counted.body["options"]]
    assert [int(record["votes"]) for record in records] == [2, 0, 1]


def test_results_of_an_unknown_poll_are_not_found(gateway):
    refused(gateway.get("/polls/987654321/results/"), 404, "poll_not_found")


def test_the_total_counts_ballots_and_not_marks(gateway):
    poll = gateway.create_poll(["a", "b", "c"], kind="multiple")
    assert gateway.vote(poll, [0, 1, 2], "ada").status_code == 201
    assert gateway.vote(poll, [1], "bob").status_code == 201
    results = gateway.results(poll)
    assert (results["total"], results["counts"]) == (2, [1, 2, 1])
    assert gateway.poll(poll)["total_votes"] == 2


def test_every_ballot_is_exported_as_it_was_sent(gateway):
    poll = gateway.create_poll(["a", "b", "c"], kind="multiple")
    voters = ["plain", 'comma, and "quote"', "two\nlines", "zoë 🎉", " spaces ", "x" * 200]
    for number, voter in enumerate(voters):
        assert gateway.vote(poll, [0, 2] if number % 2 else [1], voter).status_code == 201
    text = gateway.ballots_csv(poll)
    assert text.splitlines()[0] == "voter,option_ids,cast_at"
    records = {record["voter"]: record for record in rows(text)}
    assert set(records) == set(voters)
    first, last = poll.options[0], poll.options[2]
    for number, voter in enumerate(voters):
        expected = f"{first};{last}" if number % 2 else str(poll.options[1])
        assert records[voter]["option_ids"] == expected
        assert TIME.match(records[voter]["cast_at"])


def test_the_export_is_a_download_of_csv(gateway, counted):
    answer = gateway.get(counted.path + "ballots/", token=counted.host_key)
    assert answer.headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")'])
def test_a_name_that_a_spreadsheet_would_compute_is_made_harmless(gateway, poll, name):
    gateway.cast(poll, 0, name)
    (record,) = rows(gateway.ballots_csv(poll))
    assert record["voter"][0] not in "=+-@"
    assert record["voter"].endswith(name)


def test_an_export_of_thousands_is_complete(gateway):
    poll = gateway.create_poll(["a", "b", "c"])
    receipts = Receipts()
    names = [f"voter-{number:04}" for number in range(3000)]
    cast_over_websocket(gateway, poll, ballots_for(poll, names), receipts, window=64)
    records = rows(gateway.ballots_csv(poll))
    assert sorted(record["voter"] for record in records) == names


def test_the_audit_finds_ballots_and_tally_equal(gateway, counted):
    assert gateway.audit(counted)["consistent"] is True


def test_an_audit_of_an_empty_poll_is_consistent(gateway, poll):
    assert gateway.audit(poll)["consistent"] is True
    assert rows(gateway.ballots_csv(poll)) == []
