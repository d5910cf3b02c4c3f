"""The web application: a document that a browser may trust, and the files it needs."""

import gzip
import re

import pytest

# The store makes no difference.
pytestmark = pytest.mark.once

PATHS = ("/", "/p/1", "/p/1/present", "/host", "/host/1", "/embed/1")


@pytest.fixture(scope="module")
def page(gateway):
    return gateway.get("/", headers={"Accept": "text/html"})


def test_the_document_is_html(page):
    assert page.status_code == 200
    assert page.headers["Content-Type"].lower().replace(" ", "") == "text/html;charset=utf-8"
    assert page.text.lstrip().lower().startswith("<!doctype html>")


def directives(answer) -> dict[str, str]:
    parts = (
        part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";")
    )
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("path", PATHS)
def test_one_document_stands_at_every_path(gateway, page, path):
    answer = gateway.get(path)
    assert answer.status_code == 200
    assert answer.content == page.content


@pytest.mark.parametrize("path", PATHS)
def test_the_document_locks_its_doors(gateway, path):
    answer = gateway.get(path)
    policy = directives(answer)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == ("*" if path.startswith("/embed/") else "'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "geolocation=()" in answer.headers["Permissions-Policy"]


def test_only_allowed_origins_may_frame_where_there_is_a_list(start_gateway):
    gateway = start_gateway("--allowed-origin", "https://a.example", "--allowed-origin", "http://b")
    assert (
        directives(gateway.get("/embed/1"))["frame-ancestors"]
        == "'self' https://a.example http://b"
    )
    assert directives(gateway.get("/p/1"))["frame-ancestors"] == "'none'"


def test_the_document_makes_its_visitor_a_voter(gateway, poll, page):
    cookie = page.headers["Set-Cookie"]
    assert "psv_" in cookie
    assert "httponly" in cookie.lower() and "samesite=" in cookie.lower()
    pair = cookie.split(";")[0]
    assert gateway.vote(poll, 0, headers={"Cookie": pair}).status_code == 201
    assert gateway.vote(poll, 0, headers={"Cookie": pair}).json()["repeated"] is True


def test_a_visitor_who_has_an_identity_keeps_it(gateway, page):
    pair = page.headers["Set-Cookie"].split(";")[0]
    again = gateway.get("/", headers={"Cookie": pair}).headers.get("Set-Cookie", pair)
    assert again.split(";")[0] == pair


def named_files(page) -> list[str]:
    return re.findall(r'(?:src|href)="([^"#]+)"', page.text)


KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".d.ts": "text/plain; charset=utf-8",
}


def check_file(gateway, path: str):
    answer = gateway.get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200, path
    assert answer.content
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kinds = [kind for suffix, kind in KINDS.items() if path.endswith(suffix)]
    assert answer.headers["Content-Type"] == kinds[0]
    return answer


def test_every_file_the_document_names_is_served(gateway, page):
    names = named_files(page)
    assert all(name.startswith("/") and not name.startswith("//") for name in names), names
    assert {name.rpartition(".")[2] for name in names} == {"js", "css", "svg", "webmanifest"}
    for name in names:
        check_file(gateway, name)


def test_names_with_a_hash_are_kept_for_good_and_others_asked_for(gateway, page):
    hashed = [name for name in named_files(page) if name.startswith("/assets/")]
    assert len(hashed) == 2
    for name in hashed:
        assert re.fullmatch(r"/assets/main-[0-9A-Z]{8}\.(js|css)", name)
        caching = check_file(gateway, name).headers["Cache-Control"]
        assert caching == "public, max-age=31536000, immutable"
    for name in ("/icon.svg", "/manifest.webmanifest", "/embed.js", "/client/pollstream.js",
                 "/client/pollstream.d.ts"):  # fmt: skip
        assert check_file(gateway, name).headers["Cache-Control"] == "no-cache"
    assert page.headers["Cache-Control"] == "private, no-cache"


def test_files_for_other_sites_may_be_read_by_them(gateway):
    for name in ("/client/pollstream.js", "/embed.js"):
        answer = gateway.get(name, headers={"Origin": "https://a.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZip, deflate, br, zstd", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("br;q=1, gzip;q=0.001", "gzip"),
        ("gzip;q=0, *", None),
        ("gzip;q=0.0", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("gzip;q=much", None),
    ],
)
def test_files_are_compressed_for_who_accepts_it(gateway, page, accepted, coding):
    script = next(name for name in named_files(page) if name.endswith(".js"))
    for path in (script, "/", "/client/pollstream.d.ts"):
        plain = raw(gateway, path, None)
        answer = raw(gateway, path, accepted)
        assert answer.headers.get("Content-Encoding") == coding
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert int(answer.headers["Content-Length"]) == len(answer.body)
        if coding is None:
            assert answer.body == plain.body
            assert answer.headers["ETag"] == plain.headers["ETag"]
        else:
            assert gzip.decompress(answer.body) == plain.body
            assert answer.headers["ETag"] != plain.headers["ETag"], (
                "other bytes, the same strong tag"
            )


def raw(gateway, path: str, accepted: str | None):
    """An answer whose body is as it was sent."""
    headers = {"Accept-Encoding": accepted}  # None keeps the client's own from being sent
    answer = gateway.get(path, headers=headers, stream=True)
    assert answer.status_code == 200
    answer.body = answer.raw.read(decode_content=False)
    return answer


def test_what_is_known_is_not_sent_again(gateway, page):
    for path in ("/", "/p/1", *named_files(page), "/client/pollstream.js"):
        for accepted in ("gzip", "identity"):
            headers = {"Accept-Encoding": accepted}
            tag = gateway.get(path, headers=headers).headers["ETag"]
            again = gateway.get(path, headers=headers | {"If-None-Match": tag})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["ETag"] == tag
            assert "Accept-Encoding" in again.headers["Vary"]


def test_the_first_load_is_small(gateway, page):
    sizes = {path: len(raw(gateway, path, "gzip").body) for path in ("/", *named_files(page))}
    assert sum(sizes.values()) < 100_000, sizes


def test_the_head_of_a_file_tells_its_length(gateway):
    whole = raw(gateway, "/client/pollstream.js", "gzip")
    head = gateway.call("HEAD", "/client/pollstream.js", headers={"Accept-Encoding": "gzip"})
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert head.content == b""


def test_the_page_of_a_poll_is_where_its_join_code_leads(gateway, poll):
    answer = gateway.get(
        f"/join/{poll.body['join_code']}", headers={"Accept": "text/html"}, allow_redirects=True
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_title_is_never_markup(gateway):
    poll = gateway.create_poll(["<b>x</b>", "y"], title="<script>alert(1)</script>")
    answer = gateway.get(
        f"/join/{poll.body['join_code']}", headers={"Accept": "text/html"}, allow_redirects=True
    )
    assert "<script>alert(1)" not in answer.text


def test_a_file_that_is_not_there_is_not_found(gateway):
    for path in ("/static/nothing.js", "/favicon-of-nobody.ico", "/index.php", "/page.html",
                  "/assets/", "/assets/main.js", "/assets/main-AAAAAAAA.js", "/embed/",
                  "/p/0"):  # fmt: skip
        assert gateway.get(path).status_code == 404
