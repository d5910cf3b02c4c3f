"""The API of the original platform, as its own frontend calls it: what it says is compared, member
by member, in their order."""

import datetime
import json

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import described

LATER = "2099-01-31T18:00:00Z"


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    return start_module_gateway("--feed-rate", "1000")


def call(gateway, method, path, **options):
    answer = requests.request(method, gateway.url + path, timeout=10, **options)
    described.check_answer(answer)
    return answer


def ordered(answer):
    """The body with its members as lists of pairs, so that order counts."""
    return json.loads(answer.text, object_pairs_hook=lambda pairs: pairs)


def names(pairs):
    return [name for name, _ in pairs]


def create(gateway, title="A poll", options=("Yes", "No"), **members):
    body = {
        "title": title, "creator_name": "Ada", "end_time": LATER,
        "options": [{"text": text} for text in options],
    }  # fmt: skip
    return send(gateway, body | members)


def send(gateway, body):
    return call(gateway, "POST", "/api/polls/create/", json=body)


def vote(gateway, poll, option, name="Bob"):
    body = {"poll_id": poll["id"], "option_id": option, "voter_name": name}
    return call(gateway, "POST", "/api/vote/", json=body)


def test_a_poll_from_its_making_to_its_result(gateway):
    answer = create(gateway, title=" Lunch? ", description="Where", options=["Here", "There"])
    assert answer.status_code == 201
    assert names(ordered(answer)) == [
        "id", "title", "description", "creator_name", "end_time", "options",
    ]  # fmt: skip
    poll = answer.json()
    assert (poll["title"], poll["description"], poll["end_time"]) == ("Lunch?", "Where", LATER)
    assert names(ordered(answer)[5][1][0]) == ["id", "text", "vote_count", "voted"]
    here, there = (option["id"] for option in poll["options"])

    answer = vote(gateway, poll, there)
    assert answer.status_code == 202
    assert answer.json() == {"message": "Vote accepted and being processed."}
    assert vote(gateway, poll, there).status_code == 202, "again, counted once"
    answer = vote(gateway, poll, here)
    assert (answer.status_code, list(answer.json())) == (409, ["detail"])

    answer = call(gateway, "GET", f"/api/polls/{poll['id']}/", params={"full_name": "Bob"})
    assert names(ordered(answer)) == [
        "id", "title", "description", "creator_name", "end_time", "options", "has_voted",
        "voted_option_id",
    ]  # fmt: skip
    detail = answer.json()
    assert (detail["has_voted"], detail["voted_option_id"]) == (True, there)
    assert [(o["vote_count"], o["voted"]) for o in detail["options"]] == [(0, False), (1, True)]
    stranger = call(gateway, "GET", f"/api/polls/{poll['id']}?full_name=Eve").json()
    assert (stranger["has_voted"], stranger["voted_option_id"]) == (False, None)
    assert [option["voted"] for option in stranger["options"]] == [False, False]


def test_the_list_page_by_page(start_gateway):
    gateway = start_gateway()
    polls = [create(gateway, title=f"Poll {number}").json() for number in range(25)]
    assert vote(gateway, polls[24], polls[24]["options"][0]["id"], "Ada L").status_code == 202
    path = "/api/polls/get-list/"
    first = call(gateway, "GET", path + "?page_size=20&full_name=Ada%20L&page=3&page=1")
    assert names(ordered(first)) == ["count", "next", "previous", "results"]
    body = first.json()
    assert (body["count"], body["previous"]) == (25, None)
    assert body["next"] == f"{gateway.url}{path}?full_name=Ada+L&page=2&page_size=20"
    assert [poll["title"] for poll in body["results"]] == [f"Poll {n}" for n in range(24, 4, -1)]
    assert names(ordered(first)[3][1][0]) == [
        "id", "title", "created_at", "creator_name", "end_time", "options", "has_voted",
    ]  # fmt: skip
    assert [poll["has_voted"] for poll in body["results"]] == [True] + [False] * 19
    assert [option["voted"] for option in body["results"][0]["options"]] == [True, False]
    datetime.datetime.fromisoformat(body["results"][0]["created_at"])

    second = requests.get(body["next"], timeout=10).json()
    assert (len(second["results"]), second["next"]) == (5, None)
    assert second["previous"] == f"{gateway.url}{path}?full_name=Ada+L&page_size=20"
    assert len(call(gateway, "GET", path).json()["results"]) == 10
    assert len(call(gateway, "GET", path + "?page_size=500").json()["results"]) == 20
    for page in ("3", "0", "x", "-1", ""):
        answer = call(gateway, "GET", f"{path}?page_size=20&page={page}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize(
    "change, errors",
    [
        ({"title": None}, {"title": ["This field may not be null."]}),
        ({"title": " "}, {"title": ["This field may not be blank."]}),
        ({"title": "x" * 51},
         {"title": ["Ensure this field has no more than 50 characters."]}),
        ({"title": True, "creator_name": []},
         {"title": ["Not a valid string."], "creator_name": ["Not a valid string."]}),
        ({"description": "x" * 501},
         {"description": ["Ensure this field has no more than 500 characters."]}),
        ({"options": "Yes"},
         {"options": ['Expected a list of items but got type "str".']}),
        ({"options": [{"text": "Yes"}, {"text": ""}, 7]},
         {"options": {"1": {"text": ["This field may not be blank."]},
                      "2": {"non_field_errors":
                            ["Invalid data. Expected a dictionary, but got int."]}}}),
        ({"options": [{"text": "x" * 256}]},
         {"options": {"0": {"text": ["Ensure this field has no more than 255 characters."]}}}),
    ],
)  # fmt: skip
def test_errors_field_by_field(gateway, change, errors):
    right = {"title": "A poll", "creator_name": "Ada", "end_time": LATER, "options": []}
    answer = send(gateway, right | change)
    assert (answer.status_code, answer.json()) == (400, errors)


def test_errors_of_an_empty_body_and_of_none(gateway):
    required = ["This field is required."]
    answer = call(gateway, "POST", "/api/polls/create/", json={})
    assert ordered(answer) == [
        (name, required) for name in ("title", "creator_name", "end_time", "options")
    ]
    answer = call(gateway, "POST", "/api/vote/", json={})
    assert answer.json() == {name: required for name in ("poll_id", "option_id", "voter_name")}
    answer = call(gateway, "POST", "/api/vote/", json=[])
    assert answer.json() == {
        "non_field_errors": ["Invalid data. Expected a dictionary, but got list."]
    }
    headers = {"Content-Type": "application/json"}
    broken = call(gateway, "POST", "/api/vote/", data="{", headers=headers)
    assert (broken.status_code, list(broken.json())) == (400, ["detail"])
    text = call(gateway, "POST", "/api/vote/", data="x", headers={"Content-Type": "text/plain"})
    assert (text.status_code, list(text.json())) == (415, ["detail"])


def test_what_the_original_took_is_taken(gateway):
    for options in [[], ["one"], ["same", "same"], [str(number) for number in range(40)]]:
        answer = create(gateway, options=options)
        assert answer.status_code == 201
        assert [option["text"] for option in answer.json()["options"]] == options
    generous = create(gateway, title=5, options=["Yes", "No"], vote_count=7, is_active=False).json()
    assert generous["title"] == "5"
    option = generous["options"][1]["id"]
    body = {"poll_id": str(generous["id"]), "option_id": f"{option}.0", "voter_name": 12}
    assert call(gateway, "POST", "/api/vote", json=body).status_code == 202
    detail = call(gateway, "GET", f"/api/polls/{generous['id']}/?full_name=12").json()
    assert detail["voted_option_id"] == option
    answer = call(gateway, "POST", "/api/vote/", json=body | {"poll_id": True})
    assert answer.json() == {"poll_id": ["A valid integer is required."]}


def test_votes_that_cannot_count(gateway):
    over = create(gateway, end_time="2001-01-31 18:00").json()
    answer = vote(gateway, over, over["options"][0]["id"])
    assert (answer.status_code, list(answer.json())) == (410, ["detail"])
    open_poll = create(gateway).json()
    answer = vote(gateway, open_poll, over["options"][0]["id"])
    assert (answer.status_code, answer.json()) == (404, {"detail": "Option not found"})
    for poll_id in (1 << 46, 0, -1, 10**30):
        answer = vote(gateway, {"id": poll_id}, 1)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Poll not found"})
    answer = call(gateway, "GET", f"/api/polls/{1 << 46}/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Poll not found"})
    answer = call(gateway, "PUT", "/api/vote/", json={})
    assert (answer.status_code, answer.json()) == (405, {"detail": 'Method "PUT" not allowed.'})


def test_both_apis_show_the_same_poll(gateway):
    poll = create(gateway).json()
    assert vote(gateway, poll, poll["options"][0]["id"], "Ada").status_code == 202
    ours = call(gateway, "GET", f"/polls/{poll['id']}/").json()
    assert (ours["total_votes"], ours["end_time"]) == (1, LATER)
    hidden = gateway.create_poll(["Yes", "No"], results="after_close")
    gateway.cast(hidden, 0, "Ada")
    shown = call(gateway, "GET", f"/api/polls/{hidden.id}/?full_name=Ada").json()
    assert [option["vote_count"] for option in shown["options"]] == [None, None]


def test_a_name_tells_no_choice_while_counts_are_hidden(gateway):
    hidden = gateway.create_poll(["Yes", "No"], results="after_close")
    gateway.cast(hidden, 0, "Ada")

    def ask():
        detail = call(gateway, "GET", f"/api/polls/{hidden.id}/?full_name=Ada").json()
        (listed,) = [
            poll
            for poll in call(gateway, "GET", "/api/polls/get-list/?full_name=Ada").json()["results"]
            if poll["id"] == hidden.id
        ] or [None]
        return detail, listed

    detail, listed = ask()
    for shown in (detail, listed):
        assert shown["has_voted"] is True
        assert [option["voted"] for option in shown["options"]] == [False, False]
    assert detail["voted_option_id"] is None
    gateway.close(hidden)
    detail, _ = ask()
    assert detail["voted_option_id"] == hidden.options[0]
    assert [option["voted"] for option in detail["options"]] == [True, False]


def test_a_page_of_another_origin_may_ask(gateway):
    headers = {"Origin": "http://localhost:3000"}
    preflight = headers | {
        "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type",
    }  # fmt: skip
    answer = call(gateway, "OPTIONS", "/api/vote/", headers=preflight)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    answer = call(gateway, "GET", "/api/polls/get-list/", headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


# ---- /ws/global/


class Feed:
    def __init__(self, gateway, path="/ws/global/"):
        self.socket = connect(gateway.websocket_url + path, proxy=None, close_timeout=2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self, seconds=10):
        return json.loads(self.socket.recv(timeout=seconds), object_pairs_hook=lambda pairs: pairs)

    def hears_nothing(self, seconds=0.5):
        with pytest.raises(TimeoutError):
            self.socket.recv(timeout=seconds)


def test_every_counted_vote_is_told_once(gateway):
    poll = create(gateway, title="Lunch?", options=["Here", "There"]).json()
    here, there = (option["id"] for option in poll["options"])
    hidden = gateway.create_poll(["Yes", "No"], results="after_close")
    with Feed(gateway) as one, Feed(gateway, "/ws/global") as other:
        vote(gateway, poll, there, "Bob")
        expected = [
            ("type", "vote_notification"), ("voter_name", "Bob"), ("poll_id", poll["id"]),
            ("poll_text", "Lunch?"), ("option_id", there), ("option_text", "There"),
        ]  # fmt: skip
        for feed in (one, other):
            assert [tuple(pair) for pair in feed.next()] == expected
        vote(gateway, poll, there, "Bob")  # a repetition
        vote(gateway, poll, here, "Bob")  # refused
        gateway.cast(hidden, 0, "Eve")
        one.hears_nothing()
        one.socket.send("whatever")
        names_heard = set()
        for name in ("Ada", "Cyd", "Dan"):
            vote(gateway, poll, here, name)
        for _ in range(3):
            names_heard.add(dict(one.next())["voter_name"])
        assert names_heard == {"Ada", "Cyd", "Dan"}


def test_a_busy_moment_is_sampled(start_gateway):
    gateway = start_gateway("--feed-rate", "3", "--feed", "anonymous")
    poll = create(gateway).json()
    with Feed(gateway) as feed:
        for number in range(60):
            vote(gateway, poll, poll["options"][0]["id"], f"voter {number}")
        told = 0
        with pytest.raises(TimeoutError):
            while True:
                assert dict(feed.next(1.5))["voter_name"] == "Anonymous"
                told += 1
        assert 3 <= told <= 30
        vote(gateway, poll, poll["options"][0]["id"], "the last")
        feed.next()


def test_the_feed_may_be_off_and_is_closed_to_foreign_pages(start_gateway, gateway):
    quiet = start_gateway("--feed", "off")
    with pytest.raises(InvalidStatus) as refused:
        Feed(quiet)
    assert refused.value.response.status_code == 404
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.websocket_url + "/ws/global/", origin="http://evil.example", proxy=None)
    assert refused.value.response.status_code == 403
    poll = create(quiet).json()
    assert vote(quiet, poll, poll["options"][0]["id"]).status_code == 202
