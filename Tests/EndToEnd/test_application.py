"""The first page: HTML that a browser may trust, and the files it needs."""

import re

import pytest


@pytest.fixture(scope="module")
def page(gateway):
    return gateway.get("/", headers={"Accept": "text/html"})


def test_the_first_page_is_html(page):
    assert page.status_code == 200
    assert page.headers["Content-Type"].lower().replace(" ", "") == "text/html;charset=utf-8"
    assert page.text.lstrip().lower().startswith("<!doctype html>")


def test_the_first_page_locks_its_doors(page):
    policy = page.headers["Content-Security-Policy"]
    directives = dict(
        (part.strip().split(" ", 1) + [""])[:2] for part in policy.split(";") if part.strip()
    )
    assert "default-src" in directives
    assert "'unsafe-inline'" not in directives.get("script-src", directives["default-src"])
    assert "'unsafe-eval'" not in policy
    assert "frame-ancestors" in directives
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"]


def test_the_first_page_makes_its_visitor_a_voter(gateway, poll, page):
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


def test_every_file_the_page_names_is_served(gateway, page):
    places = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    own = [place for place in places if not re.match(r"(?:[a-z]+:|//)", place)]
    assert [place for place in places if place not in own] == [], "the page needs other sites"
    assert any(".js" in place for place in own)
    for place in own:
        answer = gateway.get("/" + place.lstrip("./"))
        assert answer.status_code == 200, place
        assert answer.content
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        kind = answer.headers["Content-Type"]
        for suffix, expected in (
            (".js", "javascript"),
            (".css", "text/css"),
            (".svg", "image/svg"),
        ):
            if place.split("?")[0].endswith(suffix):
                assert expected in kind


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
    for place in ("/static/nothing.js", "/favicon-of-nobody.ico", "/index.php"):
        assert gateway.get(place).status_code == 404
