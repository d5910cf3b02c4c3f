"""Polls: making one and reading it."""

import subprocess

import pytest

from answers import TIME, refused
from gateway import in_the_future

POLL_MEMBERS = {
    "id", "title", "description", "creator_name", "kind", "max_choices", "results", "change_vote",
    "state", "is_active", "created_at", "starts_at", "end_time", "closed_at", "join_code",
    "revision", "total_votes", "options",
}  # fmt: skip


def test_a_poll_with_title_and_options_gets_every_default(gateway):
    answer = gateway.post("/polls/", json={"title": "Lunch?", "options": ["Soup", "Bread"]})
    assert answer.status_code == 201
    poll = answer.json()
    assert poll["kind"] == "single"
    assert poll["max_choices"] == 1
    assert poll["results"] == "live"
    assert poll["change_vote"] is False
    assert poll["state"] == "open"
    assert poll["is_active"] is True
    assert poll["end_time"] is None
    assert poll["closed_at"] is None
    assert poll["total_votes"] == 0
    assert [option["text"] for option in poll["options"]] == ["Soup", "Bread"]
    assert [option["vote_count"] for option in poll["options"]] == [0, 0]
    assert len({option["id"] for option in poll["options"]}) == 2


def test_a_poll_may_ask_for_names(gateway):
    poll = gateway.create_poll(ask_name=True)
    assert poll.body["ask_name"] is True
    path = f"/polls/{poll.id}/"
    assert gateway.get(path).json()["ask_name"] is True
    changed = gateway.call("PATCH", path, token=poll.host_key, json={"ask_name": False})
    assert changed.status_code == 200
    assert set(changed.json()) == POLL_MEMBERS
    changed = gateway.call("PATCH", path, token=poll.host_key, json={"ask_name": 1})
    refused(changed, 422, "invalid", field="ask_name")
    changed = gateway.call("PATCH", path, token=poll.host_key, json={"ask_name": True})
    assert changed.json()["ask_name"] is True


def test_every_member_of_a_poll_has_its_type(gateway):
    poll = gateway.create_poll().body
    assert set(poll) == POLL_MEMBERS | {"host_key"}
    for name in ("id", "max_choices", "revision", "total_votes"):
        assert type(poll[name]) is int, name
    for name in ("title", "kind", "results", "state", "join_code", "host_key"):
        assert type(poll[name]) is str, name
    for name in ("change_vote", "is_active"):
        assert type(poll[name]) is bool, name
    assert TIME.match(poll["created_at"]), poll["created_at"]
    for option in poll["options"]:
        assert set(option) == {"id", "text", "vote_count"}
        assert type(option["id"]) is int and type(option["vote_count"]) is int


def test_every_field_of_a_new_poll_is_kept(gateway):
    fields = {
        "title": "Zürich 🎉 or Genève?",
        "description": "Where shall we meet?\nBoth are fine.",
        "creator_name": "Ada",
        "options": ["Zürich", {"text": "Genève"}, "نعم"],
        "kind": "multiple",
        "max_choices": 2,
        "starts_at": in_the_future(hours=1),
        "end_time": in_the_future(hours=2),
        "results": "after_vote",
        "change_vote": True,
    }
    answer = gateway.post("/polls/", json=fields)
    assert answer.status_code == 201, answer.text
    poll = answer.json()
    expected = {name: value for name, value in fields.items() if name != "options"}
    assert {name: poll[name] for name in expected} == expected
    assert [option["text"] for option in poll["options"]] == ["Zürich", "Genève", "نعم"]
    assert poll["state"] == "scheduled"


def test_a_new_poll_names_its_place_and_is_read_there_without_its_host_key(gateway):
    answer = gateway.post("/polls/", json={"title": "Place?", "options": ["a", "b"]})
    created = answer.json()
    assert created.pop("host_key").startswith("psh_")
    assert answer.headers["Location"].endswith(f"/polls/{created['id']}/")
    read = gateway.get(f"/polls/{created['id']}/")
    assert read.status_code == 200
    assert read.json() == created
    assert "psh_" not in read.text


def test_max_choices_of_a_multiple_poll_defaults_to_the_number_of_options(gateway):
    assert gateway.create_poll(["a", "b", "c"], kind="multiple").body["max_choices"] == 3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": None}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"description": "x" * 2001}, "description"),
        ({"description": ["x"]}, "description"),
        ({"creator_name": "x" * 101}, "creator_name"),
        ({"options": "ab"}, "options"),
        ({"options": []}, "options"),
        ({"options": ["only"]}, "options"),
        ({"options": [f"option {n}" for n in range(21)]}, "options"),
        ({"options": ["same", " same "]}, "options"),
        ({"options": ["a", ""]}, "options"),
        ({"options": ["a", "x" * 256]}, "options"),
        ({"options": ["a", 5]}, "options"),
        ({"options": ["a", {"name": "b"}]}, "options"),
        ({"kind": "triple"}, "kind"),
        ({"kind": "multiple", "max_choices": 0}, "max_choices"),
        ({"kind": "multiple", "max_choices": 3}, "max_choices"),
        ({"kind": "multiple", "max_choices": 1.0}, "max_choices"),
        ({"kind": "multiple", "max_choices": "2"}, "max_choices"),
        ({"results": "never"}, "results"),
        ({"change_vote": "yes"}, "change_vote"),
        ({"change_vote": 1}, "change_vote"),
        ({"end_time": "tomorrow"}, "end_time"),
        ({"end_time": "2020-01-01T00:00:00Z"}, "end_time"),
        ({"end_time": "2030-02-30T00:00:00Z"}, "end_time"),
        ({"end_time": 1790000000}, "end_time"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": "2040-01-02T00:00:00Z", "end_time": "2040-01-01T00:00:00Z"}, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_poll_with_a_wrong_field_is_refused_and_the_field_named(gateway, fields, field):
    body = {"title": "Right", "options": ["a", "b"]} | fields
    error = refused(gateway.post("/polls/", json=body), 422, "invalid")
    if field is not None:
        # `options`, `options[1]`, `options.1`: the member is named, maybe with the place in it.
        assert error["field"].startswith(field), error


@pytest.mark.parametrize("missing", ["title", "options"])
def test_a_poll_without_a_required_field_is_refused(gateway, missing):
    body = {"title": "Right", "options": ["a", "b"]}
    del body[missing]
    refused(gateway.post("/polls/", json=body), 422, "invalid", field=missing)


def test_the_longest_of_everything_is_taken(gateway):
    poll = gateway.create_poll(
        [f"{n:02}" + "x" * 253 for n in range(20)],
        title="t" * 200,
        description="d" * 2000,
        creator_name="c" * 100,
    )
    assert len(poll.options) == 20


def test_members_nobody_knows_are_ignored(gateway):
    gateway.create_poll(colour="red", nested={"a": [1, {"b": None}]})


@pytest.mark.parametrize(
    "text", ["a\tb", "a\nb", "back\\slash", "\\.", "\\N", "'; DROP TABLE polls; --", "<script>",
             "\u202eright to left", "e\u0301\u0301\u0301", "👩‍👩‍👧‍👦", "\ufeffbom", "%00"],
)  # fmt: skip
def test_text_is_stored_exactly_or_refused(gateway, text):
    answer = gateway.post("/polls/", json={"title": f"x{text}x", "options": [f"x{text}x", "b"]})
    if answer.status_code == 201:
        read = gateway.get(f"/polls/{answer.json()['id']}/").json()
        assert read["title"] == f"x{text}x"
        assert read["options"][0]["text"] == f"x{text}x"
    else:
        refused(answer, 422, "invalid")


# Reading


def test_an_unknown_poll_is_not_found(gateway):
    refused(gateway.get("/polls/987654321/"), 404, "poll_not_found")


def test_an_etag_that_matches_saves_the_body(gateway, poll):
    first = gateway.get(poll.path)
    etag = first.headers["ETag"]
    assert str(first.json()["revision"]) in etag
    again = gateway.get(poll.path, headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["ETag"] == etag


def test_an_etag_is_worth_nothing_once_a_ballot_is_counted(gateway, poll):
    etag = gateway.get(poll.path).headers["ETag"]
    gateway.cast(poll, 0, "ada")
    answer = gateway.get(poll.path, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag
    assert answer.json()["total_votes"] == 1


@pytest.mark.parametrize("header", ["garbage", '"', 'W/"', "*bad*", '"0", "1"', ","])
def test_an_unreadable_if_none_match_is_no_match(gateway, poll, header):
    answer = gateway.get(poll.path, headers={"If-None-Match": header})
    assert answer.status_code == 200


def test_a_poll_varies_by_who_asks(gateway, poll):
    vary = gateway.get(poll.path).headers["Vary"].lower().replace(" ", "").split(",")
    assert {"authorization", "cookie"} <= set(vary)


def test_an_api_answer_is_json_that_no_browser_sniffs(gateway, poll):
    headers = gateway.get(poll.path).headers
    assert headers["Content-Type"].startswith("application/json")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_curl_reads_what_was_made(gateway, poll):
    output = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "10", "-w", "\n%{http_code}",
         gateway.url + poll.path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    body, status = output.rsplit("\n", 1)
    assert status == "200"
    assert f'"id":{poll.id}' in body.replace(" ", "")


# Joining


def test_a_join_code_leads_a_browser_to_the_page_of_the_poll(gateway, poll):
    answer = gateway.get(f"/join/{poll.body['join_code']}", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["Location"]


def test_a_join_code_gives_a_program_the_poll(gateway, poll):
    answer = gateway.get(f"/join/{poll.body['join_code']}", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["id"] == poll.id
    assert "host_key" not in answer.json()


def test_an_unknown_join_code_is_not_found(gateway):
    answer = gateway.get("/join/ZZZZZZZZ", headers={"Accept": "application/json"})
    refused(answer, 404, "poll_not_found", "not_found")
