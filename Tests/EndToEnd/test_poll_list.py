"""Polls: the list, its states and its pages."""

from urllib.parse import urljoin

import pytest

from answers import refused
from gateway import in_the_future

OPEN, SCHEDULED, CLOSED = 12, 3, 2


@pytest.fixture(scope="module")
def polls(gateway) -> dict:
    """All polls of this module's gateway by state, oldest first."""
    made = {
        "open": [gateway.create_poll(title=f"open {n}") for n in range(OPEN)],
        "scheduled": [
            gateway.create_poll(title=f"later {n}", starts_at=in_the_future(hours=1))
            for n in range(SCHEDULED)
        ],
        "closed": [gateway.create_poll(title=f"closed {n}") for n in range(CLOSED)],
    }
    for poll in made["closed"]:
        gateway.close(poll)
    return made


def listed(gateway, query="") -> dict:
    answer = gateway.get(f"/polls/{query}")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert set(page) == {"count", "next", "previous", "results"}
    return page


def ids(page: dict) -> list[int]:
    return [poll["id"] for poll in page["results"]]


def test_the_list_shows_open_polls_newest_first_ten_to_a_page(gateway, polls):
    page = listed(gateway)
    newest_first = [poll.id for poll in reversed(polls["open"])]
    assert page["count"] == OPEN
    assert ids(page) == newest_first[:10]
    assert page["previous"] is None


def test_next_and_previous_walk_through_all_pages(gateway, polls):
    seen, place = [], gateway.url + "/polls/?page_size=5"
    while place is not None:
        page = listed(gateway, place.removeprefix(gateway.url + "/polls/"))
        seen += ids(page)
        place = page["next"] and urljoin(place, page["next"])
    assert seen == [poll.id for poll in reversed(polls["open"])]
    back = urljoin(gateway.url + "/polls/", listed(gateway, "?page=2&page_size=5")["previous"])
    first = listed(gateway, back.removeprefix(gateway.url + "/polls/"))
    assert ids(first) == seen[:5]


@pytest.mark.parametrize("state", ["open", "scheduled", "closed"])
def test_a_state_lists_its_polls_alone(gateway, polls, state):
    page = listed(gateway, f"?state={state}&page_size=100")
    assert ids(page) == [poll.id for poll in reversed(polls[state])]
    assert {poll["state"] for poll in page["results"]} == {state}


def test_state_all_lists_every_poll(gateway, polls):
    page = listed(gateway, "?state=all&page_size=100")
    assert page["count"] == OPEN + SCHEDULED + CLOSED
    assert sorted(ids(page)) == sorted(poll.id for made in polls.values() for poll in made)


def test_a_page_size_above_a_hundred_counts_as_a_hundred(gateway, polls):
    assert len(ids(listed(gateway, "?state=all&page_size=5000"))) == OPEN + SCHEDULED + CLOSED


def test_a_page_past_the_end_is_not_found(gateway, polls):
    refused(gateway.get("/polls/?page=99"), 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=banana", "state"), ("state=", "state"), ("page=x", "page"), ("page=1.5", "page"),
        ("page=99999999999999999999", "page"), ("page_size=ten", "page_size"),
    ],
)  # fmt: skip
def test_an_unreadable_parameter_is_refused_and_named(gateway, polls, query, field):
    refused(gateway.get(f"/polls/?{query}"), 422, "invalid", field=field)


def test_parameters_nobody_knows_are_ignored(gateway, polls):
    assert listed(gateway, "?colour=red&a[]=&b")["count"] == OPEN


def test_the_list_never_shows_a_host_key(gateway, polls):
    assert "psh_" not in gateway.get("/polls/?state=all&page_size=100").text
