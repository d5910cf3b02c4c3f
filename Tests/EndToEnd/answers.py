"""What every answer of the API has in common."""

import csv
import io
import re

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$")


def refused(answer, status: int, *codes: str, field: str | None = None) -> dict:
    """Checks `{"error":{"code","message","field"?}}` with this status, one of these codes and,
    where given, this field; returns the error."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["Content-Type"].startswith("application/json")
    error = answer.json()["error"]
    if codes:
        assert error["code"] in codes, error
    check_error_shape(error)
    if field is not None:
        assert error.get("field") == field, error
    return error


def check_error_shape(error: dict):
    """One sentence for people, and nothing that belongs inside."""
    message = error["message"]
    assert isinstance(message, str) and 3 < len(message) < 300, error
    assert "\n" not in message, error
    assert set(error) <= {"code", "message", "field"}, error
    assert not re.search(r"\.swift|sqlite|0x[0-9a-f]{6}|/tmp/", message, re.IGNORECASE), error


def retry_after(answer) -> int:
    """The seconds of `Retry-After`, at least 0."""
    text = answer.headers["Retry-After"]
    assert text.isdigit(), text
    return int(text)


def rows(text: str) -> list[dict[str, str]]:
    """The records of a CSV text by their header line (RFC 4180)."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
