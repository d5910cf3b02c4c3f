"""openapi.json and asyncapi.json: they are valid, they are what is served, and the gateway keeps to
them. What every other test gets is held against them, too (`described.py`)."""

import re

import openapi_spec_validator
import pytest

import described
from described import ASYNCAPI, OPENAPI
from events import EventStream
from gateway import in_the_future, limits
from live import Viewer
from wire import Wire, get, post_json, request, upgrade


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    return start_module_gateway("--ws-echo", "--feed-rate", "1000")


def test_openapi_is_valid():
    openapi_spec_validator.validate(OPENAPI)


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_what_is_served_is_the_file(gateway, name):
    answer = gateway.get(f"/{name}.json")
    assert answer.content == (described.FILES / f"{name}.json").read_bytes()


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)


def found(reference: str, here: dict):
    """What a reference of the document `here` leads to."""
    name, _, path = reference.partition("#")
    value = OPENAPI if name == "openapi.json" else here
    for step in path.split("/")[1:]:
        value = value[step.replace("~1", "/").replace("~0", "~")]
    return found(value["$ref"], here) if isinstance(value, dict) and "$ref" in value else value


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_no_reference_leads_nowhere_and_no_component_is_unused(document):
    used = set(references(document)) | {
        reference.removeprefix("openapi.json") for reference in references(ASYNCAPI)
    }
    for reference in references(document):
        assert found(reference, document)
    for kind, components in document["components"].items():
        if kind != "securitySchemes":
            for name in components:
                assert any(f"#/components/{kind}/{name}" in reference for reference in used), name


def test_asyncapi_has_messages_in_channels_and_operations_for_all():
    told = set()
    for operation in ASYNCAPI["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = found(operation["channel"]["$ref"], ASYNCAPI)
        for part in (operation, operation.get("reply", {})):
            for message in part.get("messages", []):
                path = message["$ref"]
                assert path.startswith(operation["channel"]["$ref"] + "/messages/")
                assert path.rpartition("/")[2] in channel["messages"]
                told.add(path)
    assert told == {
        f"#/channels/{name}/messages/{message}"
        for name, channel in ASYNCAPI["channels"].items()
        for message in channel["messages"]
    }


# Every answer of a route


def ask_everything(gateway):
    """One request for each answer of each route that does not need a special gateway."""
    poll = gateway.create_poll(change_vote=True)
    fixed = gateway.create_poll(["a", "b"])
    scheduled = gateway.create_poll(starts_at=in_the_future(hours=1))
    closed = gateway.create_poll()
    gateway.close(closed)
    gone = gateway.create_poll()
    host, other = poll.host_key, fixed.host_key
    forged = "psv_forged"
    nobody = "/polls/140737488355327/"

    def ask(*statuses, method="GET", path="/", **options):
        answers = [gateway.call(method, path, **options).status_code for _ in statuses]
        assert answers == list(statuses), f"{method} {path} {options}"

    def vote(*statuses, poll=poll, option=0, **options):
        body = {"poll_id": poll.id, "option_id": poll.options[option]} | options.pop("body", {})
        ask(*statuses, method="POST", path="/votes/", json=body, **options)

    vote(201, 200, body={"voter": "ada"})
    vote(200, body={"voter": "ada"}, option=1)
    vote(202, body={"voter": "bob"}, headers={"Prefer": "respond-async"})
    vote(401)
    vote(401, token=forged)
    vote(404, body={"poll_id": 140737488355327, "voter": "ada"})
    vote(404, body={"option_id": 999999, "voter": "ada"})
    vote(201, poll=fixed, body={"voter": "ada"})
    vote(409, poll=fixed, option=1, body={"voter": "ada"})
    vote(409, poll=scheduled, body={"voter": "ada"})
    vote(409, poll=closed, body={"voter": "ada"})
    vote(422, body={"voter": ""})
    ask(400, method="POST", path="/votes/", data="{", headers={"Content-Type": "application/json"})
    ask(415, method="POST", path="/votes/", data="x")

    ask(200, path="/polls/?state=all&page_size=100")
    ask(404, path="/polls/?page=1000")
    ask(422, path="/polls/?page=x")
    new = {"title": "t", "options": ["a", {"text": "b"}]}
    ask(201, method="POST", path="/polls/", json=new)
    ask(422, method="POST", path="/polls/", json={})
    ask(400, method="POST", path="/polls/", data="{", headers={"Content-Type": "application/json"})
    ask(415, method="POST", path="/polls/", data="x")

    for suffix in ("", "results/"):
        tag = gateway.get(poll.path + suffix).headers["ETag"]
        ask(304, path=poll.path + suffix, headers={"If-None-Match": tag})
        ask(404, path=nobody + suffix)
        ask(401, path=poll.path + suffix, token=forged)
    ask(200, path=poll.path + "results/?format=csv")
    ask(406, path=poll.path + "results/", headers={"Accept": "image/png"})
    ask(422, path=poll.path + "results/?format=xml")

    hosts = [("PATCH", ""), ("POST", "open/"), ("POST", "close/"), ("GET", "ballots/"),
             ("GET", "audit/"), ("DELETE", "")]  # fmt: skip
    for method, suffix in hosts:
        options = {"json": {"title": "Which, then?"}} if method == "PATCH" else {}
        asked = {"method": method, "path": poll.path + suffix} | options
        ask(401, **asked)
        ask(403, token=other, **asked)
        ask(404, token=host, **asked | {"path": nobody + suffix})
    ask(200, method="PATCH", path=poll.path, token=host, json={"title": "Which, then?"})
    ask(409, method="PATCH", path=poll.path, token=host, json={"options": ["x", "y"]})
    ask(409, method="PATCH", path=closed.path, token=closed.host_key, json={"title": "Late"})
    ask(422, method="PATCH", path=poll.path, token=host, json={"title": ""})
    ask(400, method="PATCH", path=poll.path, token=host, data="[,]",
        headers={"Content-Type": "application/json"})  # fmt: skip
    ask(415, method="PATCH", path=poll.path, token=host, data="x")
    ask(200, path=poll.path + "ballots/", token=host)
    ask(200, path=poll.path + "audit/", token=host)
    ask(200, method="POST", path=scheduled.path + "open/", token=scheduled.host_key)
    ask(409, method="POST", path=closed.path + "open/", token=closed.host_key)
    ask(200, 200, method="POST", path=poll.path + "close/", token=host)
    ask(204, method="DELETE", path=gone.path, token=gone.host_key)

    code = f"/join/{fixed.body['join_code']}"
    ask(200, path=code)
    ask(303, path=code, headers={"Accept": "text/html"})
    ask(401, path=code, token=forged)
    ask(404, path="/join/NOSUCHCODE")

    for name in ("/openapi.json", "/asyncapi.json"):
        tag = gateway.get(name).headers["ETag"]
        ask(304, path=name, headers={"If-None-Match": tag})
    original(ask, fixed, closed)


def original(ask, poll, closed):
    new = {"title": "t", "creator_name": "ada", "end_time": in_the_future(hours=1),
           "options": [{"text": "a"}]}  # fmt: skip
    ask(200, path="/api/polls/get-list/?full_name=ada&page_size=2")
    ask(404, path="/api/polls/get-list/?page=1000")
    ask(201, method="POST", path="/api/polls/create/", json=new)
    ask(400, method="POST", path="/api/polls/create/", json=new | {"options": [{}, 5]})
    ask(415, method="POST", path="/api/polls/create/", data="x")
    ask(200, path=f"/api/polls/{poll.id}/?full_name=ada")
    ask(404, path="/api/polls/140737488355327/")
    ballot = {"poll_id": poll.id, "option_id": poll.options[0], "voter_name": "original"}
    ask(202, 202, method="POST", path="/api/vote/", json=ballot)
    ask(409, method="POST", path="/api/vote/", json=ballot | {"option_id": poll.options[1]})
    ask(404, method="POST", path="/api/vote/", json=ballot | {"option_id": 999999})
    ask(410, method="POST", path="/api/vote/",
        json=ballot | {"poll_id": closed.id, "option_id": closed.options[0]})  # fmt: skip
    ask(400, method="POST", path="/api/vote/", json={})
    ask(415, method="POST", path="/api/vote/", data="x")


@pytest.mark.parametrize("path", [path for path in OPENAPI["paths"]])
def test_each_route_names_its_methods_to_whoever_uses_another(gateway, path):  # B09
    methods = {name.upper() for name in OPENAPI["paths"][path] if name != "parameters"}
    poll = gateway.create_poll()
    values = {"id": poll.id, "code": poll.body["join_code"]}
    where = re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], "x")), path)
    for method in {"PUT", "TRACE", "FOO", "DELETE", "PATCH", "POST", "GET"} - methods:
        answer = gateway.call(method, where)
        assert answer.status_code == 405, (method, where)
        allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
        assert methods <= allowed and method not in allowed


def ask_for_what_is_not_served(gateway):
    for path, item in OPENAPI["paths"].items():
        for method, operation in item.items():
            if method != "parameters" and "live" not in operation["tags"] and "/ws/" not in path:
                where = path.format(id=1, code="CODE")
                assert gateway.call(method.upper(), where).status_code == 404


def ask_from_a_foreign_page(gateway):
    body = {"poll_id": 1, "option_ids": [1]}
    answer = gateway.post("/votes/", json=body, headers={"Origin": "https://evil.com"})
    assert answer.status_code == 403


# What HTTP or a limit refuses, by the component that describes it.
OF_ANY_ROUTE = {
    "408": ("Timeout", b"GET /polls/ HTTP/1.1\r\n"),
    "413": ("TooLarge", post_json("/polls/", {"title": "x" * 500})),
    "414": ("TargetTooLong", get("/polls/?" + "x" * 500)),
    "417": ("ExpectationFailed", get("/polls/", "Expect: x")),
    "431": ("HeadTooLarge", get("/polls/", "X: " + "x" * 500)),
    "501": ("NotImplemented", request("POST /polls/ HTTP/1.1", "Transfer-Encoding: gzip")),
    "505": ("VersionNotSupported", request("GET /polls/ HTTP/3.0")),
}
# What takes a gateway that is in trouble, or one with keys: tests of their own get these, and hold
# them against the description.
ELSEWHERE = {"429", "503", "504"} | set(OF_ANY_ROUTE)
# Nothing that a test can send gets these, where names are believed and no key is asked for.
OF_OTHER_SETTINGS = {
    ("POST /polls/", "401"), ("POST /polls/", "403"),
    *((f"{method} /api/{path}", status)
      for method, path in (("GET", "polls/get-list/"), ("GET", "polls/{id}/"), ("POST", "vote/"),
                           ("POST", "polls/create/"))
      for status in ("401", "403", "422")),
}  # fmt: skip


def test_every_answer_that_is_described_is_given(gateway, start_gateway):
    ask_everything(gateway)
    ask_for_what_is_not_served(start_gateway("--services", "live"))
    ask_from_a_foreign_page(start_gateway("--allowed-origin", "https://polls.example.com"))
    expected = {
        (f"{method.upper()} {path}", status)
        for path, item in OPENAPI["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and "live" not in operation["tags"] and "/ws/" not in path
        for status in operation["responses"]
        # Where no body is read, 400 is what HTTP refuses.
        if status != "400" or "requestBody" in operation
    }
    missing = expected - described.answers_seen
    assert {each for each in missing if each[1] not in ELSEWHERE} - OF_OTHER_SETTINGS == set()


@pytest.fixture(scope="module")
def narrow(start_module_gateway):
    return start_module_gateway(
        *limits(request_line=200, head=300, body=100, header_timeout="300ms")
    )


@pytest.mark.parametrize("status", OF_ANY_ROUTE)
def test_what_http_refuses_is_described(narrow, status):
    component, data = OF_ANY_ROUTE[status]
    with Wire(narrow) as wire:
        wire.send(data)
        answer = wire.answer()
    assert str(answer.status) == status
    described.check_component(answer.json(), component)


@pytest.mark.parametrize(
    ("component", "data"),
    [
        ("UpgradeRequired", get("/ws/")),
        ("MalformedRequest", upgrade("/ws/", key="x")),
        ("NotFound", upgrade("/ws/nowhere/")),
        ("Unauthorized", upgrade("/ws/", "Sec-WebSocket-Protocol: bearer.psv_forged")),
    ],
)
def test_a_refused_handshake_is_described(gateway, component, data):
    with Wire(gateway) as wire:
        wire.send(data)
        described.check_component(wire.answer().json(), component)


# Every message


def test_every_message_that_is_described_is_sent(start_gateway):
    gateway = start_gateway("--drain", "1s", "--feed-rate", "1000")
    poll = gateway.create_poll(change_vote=True)
    with (
        Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer,
        Viewer(gateway, "/ws/global/") as listener,
        EventStream(gateway, poll) as events,
    ):
        viewer.until("snapshot")
        viewer.until("viewers", viewers=1)
        assert viewer.vote(poll, 0, voter="ada")["status"] == "counted"
        assert viewer.vote(poll, 0, voter="ada")["repeated"] is True
        assert viewer.vote(poll, 1, voter="ada")["status"] == "changed"
        viewer.until("tally", counts=[0, 1])
        assert viewer.ask(type="ping")["type"] == "pong"
        for wrong in ({"type": "what"}, {"type": "vote"}, {"type": "subscribe", "poll_ids": []}):
            assert viewer.ask(**wrong)["type"] == "error"
        assert viewer.ask(type="subscribe", poll_ids=[999])["poll_id"] == 999
        listener.until("vote_notification")
        for kind in ("snapshot", "tally"):
            events.until(kind)
        gateway.close(poll)
        viewer.until("state")
        gateway.terminate()
        viewer.until("draining")
        events.until("draining")
    assert gateway.wait() == 0
    sent = {
        message["$ref"].rpartition("/")[2]
        for operation in ASYNCAPI["operations"].values()
        for part in (operation if operation["action"] == "send" else operation.get("reply", {}),)
        for message in part.get("messages", [])
    }
    messages = (found(f"#/components/messages/{name}", ASYNCAPI) for name in sent - {"event"})
    types = {message["payload"]["properties"]["type"]["const"] for message in messages}
    assert types == described.messages_seen


def test_examples_are_as_their_schemas_say():
    def examples(value, path=()):
        if isinstance(value, dict):
            if "example" in value and "schema" in value:
                yield value["example"], (*path, "schema")
            for name, each in value.items():
                yield from examples(each, (*path, name))

    count = 0
    for example, path in examples(OPENAPI):
        described.check(example, "openapi.json" + described.pointer(*path))
        count += 1
    assert count >= 5
