"""The operators' page with charts: from the ops listener alone, and what it shows is true."""

import re
import threading

import pytest
from playwright.sync_api import expect

import prometheus
from gateway import REPOSITORY
from live import Viewer
from ports import free_port

# The store makes no difference.
pytestmark = pytest.mark.once

FILES = {"/": "text/html", "/status.js": "text/javascript", "/status.css": "text/css"}

expect.set_options(timeout=20_000)  # it asks every two seconds; the machine may be busy


@pytest.mark.parametrize("path", FILES)
def test_it_is_served_to_operators_and_kept_by_browsers(gateway, path):
    answer = gateway.ops("GET", path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(FILES[path])
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["ETag"]


def test_it_may_load_nothing_from_elsewhere(gateway):
    policy = gateway.ops("GET", "/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    for path in FILES:
        text = gateway.ops("GET", path).text.replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.M), path


def options() -> list[str]:
    """A broker that is away, and names that are taken away; Redis takes a PostgreSQL."""
    return ["--events", f"amqp://127.0.0.1:{free_port()}/", "--retain", "1d"]


def test_every_metric_that_it_shows_is_there(start_gateway):
    gateway = start_gateway(*options())
    script = gateway.ops("GET", "/status.js").text
    named = set(re.findall(r'"((?:pollstream|process)_[a-z_]+)"', script))
    # What the alerts ask for is looked for in a gateway with Redis.
    alerts = (REPOSITORY / "deploy/prometheus/alerts.yml").read_text()
    named -= {name for name in named if "_relay_" in name and name in alerts}
    samples = prometheus.parse(gateway.ops("GET", "/metrics").text)
    there = {re.sub(r"\{.*|_(bucket|sum|count)(\{.*)?$", "", name) for name in samples}
    assert len(named) > 15
    assert named <= there | {re.sub(r"\{.*", "", name) for name in samples}


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(f"{said.type}: {said.text}"))
    page.asked = set()
    page.on("request", lambda request: page.asked.add(request.url))
    yield page
    page.close()


def test_it_shows_what_happens(start_gateway, page):
    gateway = start_gateway()
    poll = gateway.create_poll()
    page.goto(gateway.ops_url + "/")
    expect(page.locator("#state")).to_have_text("ready")
    # It uses nothing else.
    expect(page.locator("#parts li")).to_have_text(["database reached"])
    viewers = page.locator("figure", has_text="Viewers")
    expect(viewers.locator(".now")).to_have_text("0")
    with Viewer(gateway, f"/ws/polls/{poll.id}/") as viewer, Viewer(gateway) as other:
        other.subscribe(poll.id)
        for number in range(5):
            viewer.vote(poll, 0, voter=f"voter {number}")
        viewer.vote(poll, 1, voter="voter 0")
        expect(viewers.locator(".now")).to_have_text("2")
        answers = page.locator("#votes tr")
        expect(answers).to_have_text(["counted5", "already_voted1"])
        # A line through at least two points, in every chart that has something to show by now.
        expect(viewers.locator("path.first")).to_have_attribute(
            "d", re.compile(r"^M[\d.]+ [\d.]+L")
        )
        took = page.locator("figure", has_text="Vote to tally")
        expect(took.locator("path.second")).to_have_attribute("d", re.compile("^M"))
        expect(took.locator("svg")).to_have_attribute("aria-label", re.compile("Vote to tally: "))
    assert page.complaints == []
    assert all(url.startswith((gateway.ops_url, "data:")) for url in page.asked)


def test_it_says_what_is_reached_of_what_the_gateway_needs(start_gateway, page):
    gateway = start_gateway(*options())
    relay = "pollstream_relay_publishing 1\npollstream_relay_subscribed 0\n"

    def answer(route):
        answered = route.fetch()
        route.fulfill(response=answered, body=answered.text() + relay)

    page.route("**/metrics", answer)
    page.goto(gateway.ops_url + "/")
    parts = page.locator("#parts li")
    expect(parts).to_have_text(["database reached", "Redis lost: hearing", "broker lost: events"])
    expect(parts.first).to_have_class("good")
    expect(parts.last).to_have_class("bad")
    buffers = page.locator("figure", has_text="Buffers").locator(".now")
    expect(buffers).to_have_text(re.compile(r"^\d+\.\d %$"))
    poll = gateway.create_poll()
    with gateway.storage_stalled():
        answers = []
        voter = threading.Thread(target=lambda: answers.append(gateway.vote(poll, 0, "Ada")))
        voter.start()
        expect(parts.first).to_have_text(re.compile("^database lost: .*ballots"))
        voter.join()
    expect(parts.first).to_have_text("database reached")
    page.unroute("**/metrics")
    expect(parts).to_have_text(["database reached", "broker lost: events"])
    gateway.stop()
    expect(page.locator("#state")).to_contain_text("no answer")
    expect(parts).to_have_count(0)


def test_it_says_when_there_is_no_answer_and_goes_on_afterwards(start_gateway, page):
    gateway = start_gateway()
    page.goto(gateway.ops_url + "/")
    expect(page.locator("#state")).to_have_text("ready")
    place = gateway.ops_url.removeprefix("http://")
    gateway.stop()
    expect(page.locator("#state")).to_contain_text("no answer")
    gateway.arguments[gateway.arguments.index("--ops-listen") + 1] = place
    gateway.start()
    expect(page.locator("#state")).to_have_text("ready")
