"""Well-formed HTTP that asks for what it should not: BAD_INPUT section B."""

import pytest

from wire import Wire, get, request


@pytest.fixture(scope="module")
def gateway(reached_both_ways):
    return reached_both_ways


TRAVERSALS = [
    "/../etc/passwd", "/static/../../etc/passwd", "/static/../../../../../../etc/passwd",
    "/static//../x", "/./", "/%2e%2e/etc/passwd", "/%2e%2e%2fetc%2fpasswd",
    "/static/%2e%2e%2f%2e%2e%2fetc/passwd", "/..%5cetc%5cpasswd", "/%252e%252e/etc/passwd",
    "/%c0%ae%c0%ae/etc/passwd", "/static/%00", "/%00", "/static/x%00.js", "/etc/passwd",
    "//etc/passwd", "/.git/config", "/pollstream.db",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_files_of_the_page(gateway, path):
    with Wire(gateway) as wire:
        wire.send(get(path))
        answer = wire.answer()
        assert answer.status in (400, 404), answer
        assert b"root:" not in answer.body


@pytest.mark.parametrize("path", ["/", "/polls/"])
def test_head_has_no_body_whatever_the_path(gateway, path):  # B05
    with Wire(gateway) as wire:
        wire.send(request(f"HEAD {path} HTTP/1.1") + get())
        assert wire.answer(to_head=True).status == 200
        assert wire.answer().json()["results"] is not None


@pytest.mark.parametrize("path", ["/polls/", "/votes/", "/polls/1/", "/", "*"])
def test_options_name_what_may_be_done(gateway, path):  # B10
    with Wire(gateway) as wire:
        wire.send(request(f"OPTIONS {path} HTTP/1.1"))
        answer = wire.answer()
        assert (answer.status, answer.body) == (204, b"")
        assert "OPTIONS" in answer.fields["allow"]


@pytest.mark.parametrize("path", ["/%", "/%g0", "/%u0041", "/polls/%1", "/polls/1%zz/"])
def test_a_bad_escape_is_malformed(gateway, path):
    with Wire(gateway) as wire:
        wire.send(get(path))
        assert wire.answer().status == 400


@pytest.mark.parametrize("path", ["/polls/1%0d%0aX:%20y/", "/join/%0d%0aSet-Cookie:%20a=b"])
def test_no_escape_splits_an_answer(gateway, path):
    with Wire(gateway) as wire:
        wire.send(get(path, "Accept: text/html"))
        answer = wire.answer()
        assert answer.status in (400, 404)
        assert "x" not in answer.fields and "a=b" not in str(answer.fields)


def test_no_title_splits_an_answer(gateway):  # B16
    title = "lunch\r\nSet-Cookie: a=b\r\n\r\nx"
    poll = gateway.create_poll(title=title)
    for path in (
        poll.path,
        f"{poll.path}results/",
        f"/p/{poll.id}",
        f"/join/{poll.body['join_code']}",
    ):
        for wanted in ("text/html", "text/csv", "application/json"):
            with Wire(gateway) as wire:
                wire.send(get(path, f"Accept: {wanted}"))
                answer = wire.answer()
                assert answer.status in (200, 301, 302, 303, 307, 308, 404, 406), answer
                assert "a=b" not in str(answer.fields)


ODD_FIELDS = [
    "Range: bytes=0-0," + ",".join(f"{n}-{n}" for n in range(1, 500)), "Range: bytes=9-1",
    "Range: bytes=99999999999999999999-", "If-Modified-Since: yesterday",
    "Accept-Encoding: gzip;q=x", "Accept-Language: " + "x" * 1000, "Accept: ;;;,,/",
    "Cookie: " + "; ".join(f"c{n}=v" for n in range(1000)),
    "Cookie: =;=;;", "Prefer: ,;=", "Connection: ,,,keep-alive", "User-Agent: \\",
    "X-Forwarded-For: 1.2.3.4, spoofed", "Forwarded: for=_x", "Authorization: Basic YTpi",
]  # fmt: skip


@pytest.mark.parametrize("field", ODD_FIELDS, ids=lambda field: field[:30])
@pytest.mark.parametrize("path", ["/", "/polls/"])
def test_an_odd_field_is_ignored_or_refused_and_never_our_fault(gateway, path, field):
    with Wire(gateway) as wire:
        wire.send(get(path, field))
        answer = wire.answer()
        assert answer.status in (200, 206, 400, 401, 406, 416), answer.status
        assert len(answer.body) < 1 << 20


def test_a_cookie_past_the_head_is_too_large(gateway):
    with Wire(gateway) as wire:
        wire.send(get("/polls/", "Cookie: " + "x" * 20_000))
        assert wire.answer().status == 431


def test_trace_echoes_nothing(gateway):
    with Wire(gateway) as wire:
        wire.send(request("TRACE /polls/ HTTP/1.1", "X-Secret: 4711"))
        answer = wire.answer()
        assert answer.status in (405, 501)
        assert b"4711" not in answer.body


def test_thousands_of_query_parameters_are_just_ignored(gateway):
    with Wire(gateway) as wire:
        wire.send(get("/polls/?" + "&".join(f"a{n}" for n in range(1200))))
        assert wire.answer().status == 200


@pytest.mark.parametrize(
    ("query", "status"), [("state=open&state=banana", 422), ("state=banana&state=open", 200)]
)
def test_of_a_repeated_parameter_the_last_counts(gateway, query, status):  # B19
    with Wire(gateway) as wire:
        wire.send(get(f"/polls/?{query}"))
        assert wire.answer().status == status


@pytest.mark.parametrize(
    ("query", "statuses"),
    [("page=%zz", (400,)), ("page=%", (400,)), ("page=%00", (422,)), ("page=+1", (422,)),
     ("%70age=1", (200,)), ("page[]=1", (400,)), ("page", (422,)), ("=1&&;", (200,)),
     ("state=op%65n", (200,)), ("page=" + "1" * 4000, (404, 422))],
)  # fmt: skip
def test_an_odd_query_is_read_by_one_rule(gateway, query, statuses):  # B20
    with Wire(gateway) as wire:
        wire.send(get(f"/polls/?{query}"))
        assert wire.answer().status in statuses


@pytest.mark.parametrize(
    "poll_id", ["*", "%3F", "[1]", "1:2", "1%20", "%0d%0a", "-1", "+1", "0", "01", "1e0", "0x1",
                "9" * 30, "%F0%9F%8E%89"],
)  # fmt: skip
def test_a_poll_id_that_is_none_finds_nothing(gateway, poll_id):
    for path in (f"/polls/{poll_id}/", f"/polls/{poll_id}/events/"):
        with Wire(gateway) as wire:
            wire.send(get(path))
            assert wire.answer().status in (400, 404)


def test_an_error_says_how_long_it_is_and_nothing_about_us(gateway):
    with Wire(gateway) as wire:
        wire.send(get("/nowhere"))
        answer = wire.answer()
        assert int(answer.fields["content-length"]) == len(answer.body)
        assert "pollstream/" not in answer.fields.get("server", "").lower()
        wire.send(get())
        assert wire.answer().status == 200
