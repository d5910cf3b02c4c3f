"""openapi.json and asyncapi.json, held against what the gateway really says: the answers and
messages of all tests that use `Gateway.call` and `Viewer` pass here."""

import functools
import json
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

import jsonschema_rs
import requests

FILES = Path(__file__).resolve().parents[2] / "Sources" / "Description" / "files"
OPENAPI, ASYNCAPI = (json.loads((FILES / f"{name}.json").read_text())
                     for name in ("openapi", "asyncapi"))  # fmt: skip

# Operation and status of the answers that were seen, and types of the messages.
answers_seen: set[tuple[str, str]] = set()
messages_seen: set[str] = set()

_PLACEHOLDERS = {"id": "[1-9][0-9]{0,14}", "code": "[0-9A-Za-z]{1,32}"}
_PATHS = [
    (re.compile(re.sub(r"\{(\w+)\}", lambda found: _PLACEHOLDERS[found[1]], path)), path)
    for path in sorted(OPENAPI["paths"], key=lambda path: "{" in path)
]


def closed(value):
    """The same with every schema closed: to a test, a member that nothing names is wrong, while
    clients are asked to ignore it."""
    if isinstance(value, list):
        return [closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    result = {name: closed(each) for name, each in value.items()}
    for name in ("schema", "payload", "items"):
        if name in result:
            result[name] = _shut(result[name])
    # Beside `$ref`, properties narrow those of what it names, which are closed there.
    if "properties" in result and "$ref" not in result:
        result["properties"] = {n: _shut(each) for n, each in result["properties"].items()}
    return result


def _shut(schema):
    return schema | {"unevaluatedProperties": False} if isinstance(schema, dict) else schema


_REGISTRY = jsonschema_rs.Registry(
    [("openapi.json", closed(OPENAPI)), ("asyncapi.json", closed(ASYNCAPI))]
)


def pointer(*steps: str) -> str:
    """A JSON pointer as a fragment (RFC 6901, section 6)."""
    return "#" + "".join("/" + quote(step.replace("~", "~0").replace("/", "~1")) for step in steps)


@functools.cache
def _validator(location: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"$ref": location}, registry=_REGISTRY, validate_formats=True
    )


def check(value, location: str):
    """`value` is as the schema at `location` says."""
    errors = [f"{e.instance_path} {e.message}" for e in _validator(location).iter_errors(value)]
    assert not errors, f"not as {location} says: {errors} in {value}"


def operation(method: str, path: str) -> tuple[str, dict] | None:
    """The template of a path and what is described there; None where nothing is."""
    for pattern, template in _PATHS:
        if pattern.fullmatch(path) or pattern.fullmatch(path + "/") and path.startswith("/api/"):
            described = OPENAPI["paths"][template].get(method.lower())
            return described and (template, described)
    return None


def check_answer(answer: requests.Response):
    """It is one of those that its operation names, and so are its fields and its body."""
    method = answer.request.method
    found = operation(method, urlsplit(answer.url).path)
    if found is None:
        return
    template, described = found
    name, status = f"{method} {template}", str(answer.status_code)
    answers_seen.add((name, status))
    assert status in described["responses"], f"{name} is not described to answer {status}"
    response = described["responses"][status]
    place = pointer("paths", template, method.lower(), "responses", status)
    if "$ref" in response:
        place = response["$ref"]
        response = OPENAPI["components"]["responses"][place.rpartition("/")[2]]
    for field, header in response.get("headers", {}).items():
        if field in answer.headers:
            _check_field(answer.headers[field], header, f"{place}/headers/{field}")
    if not answer.content:
        return
    media_type = answer.headers["Content-Type"].partition(";")[0]
    assert media_type in response.get("content", {}), (
        f"{name} is not described to send {media_type}"
    )
    if media_type == "application/json":
        step = pointer(media_type).removeprefix("#")
        check(answer.json(), f"openapi.json{place}/content{step}/schema")


def _check_field(value: str, described: dict, place: str):
    if "$ref" in described:
        place = described["$ref"]
        described = OPENAPI["components"]["headers"][place.rpartition("/")[2]]
    is_number = described["schema"].get("type") == "integer"
    check(int(value) if is_number else value, f"openapi.json{place}/schema")


def check_component(body, name: str):
    """A JSON body is as this component of the responses says."""
    check(body, "openapi.json" + pointer(
        "components", "responses", name, "content", "application/json", "schema"))  # fmt: skip


def check_message(message: dict):
    """A message of the gateway is as its type is described."""
    kind = message["type"]
    messages_seen.add(kind)
    name = "voteNotification" if kind == "vote_notification" else kind
    check(message, f"asyncapi.json{pointer('components', 'messages', name, 'payload')}")


def check_event(fields: dict, message: dict):
    """An event of a stream is named and numbered as its message is."""
    check_message(message)
    assert fields["event"] == message["type"]
    revision = message.get("poll", message).get("revision")
    assert fields.get("id") == (None if revision is None else str(revision)), fields
    check(message, f"asyncapi.json{pointer('components', 'messages', 'event', 'payload')}")
