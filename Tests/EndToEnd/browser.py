"""Chromium, driven by playwright: what people see of the web application."""

import functools
import http.server
import json
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway import Gateway

expect.set_options(timeout=15_000)

EXPECTED_COMPLAINTS = ("Failed to load resource", "WebSocket connection to")

PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
PROJECTOR = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Opens a page as somebody of their own: `visit(gateway, "/p/7", locale="de-DE")`. With
    `host_of` the browser holds the keys of these polls; `beside` another page, it is the same
    browser's. What breaks in a page fails the test."""
    visits = Visits(browser)
    yield visits.open
    visits.close()


@dataclass
class Site:
    """Pages that are not the gateway's, as files in a folder."""

    folder: Path
    elsewhere: str  # By its name it is another site than the gateway.
    next_door: str  # The same site, and another origin.


@pytest.fixture
def site(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield Site(folder, f"http://localhost:{port}", f"http://127.0.0.1:{port}")
        server.shutdown()


class Visits:
    def __init__(self, browser: Browser):
        self.browser = browser
        self.contexts = []
        self.complaints = []

    def open(
        self, gateway: Gateway, path="/", *, host_of=(), beside=None, traffic=None, **options
    ) -> Page:
        page = (beside.context if beside else self._context(host_of, options)).new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        if traffic is not None:
            traffic.watch(page)
        page.goto(gateway.url + path)
        return page

    def _context(self, host_of, options):
        context = self.browser.new_context(
            **{"locale": "en-GB", "viewport": DESKTOP, "accept_downloads": True} | options
        )
        self.contexts.append(context)
        if host_of:
            # Once: what the page removes or adds later is its own business.
            context.add_init_script(
                "localStorage.getItem('pollstream.hosted') ?? "
                f"localStorage.setItem('pollstream.hosted', {json.dumps(keys_of(*host_of))})"
            )
        return context

    def _listen(self, message):
        """What is refused or away is logged as an error, which some tests want; else nothing is."""
        if message.type == "error" and not message.text.startswith(EXPECTED_COMPLAINTS):
            self.complaints.append(message.text)

    def close(self):
        for context in self.contexts:
            context.close()
        assert not self.complaints


def keys_of(*polls) -> str:
    """The host keys as the application stores them, newest poll first."""
    return json.dumps(
        [
            {"id": poll.id, "host_key": poll.host_key, "title": poll.body["title"]}
            for poll in sorted(polls, key=lambda poll: -poll.id)
        ]
    )


class Traffic:
    """All that a page is told: frames of its WebSockets, and bodies."""

    def __init__(self):
        self.frames: list[str] = []
        self._responses = []

    def watch(self, page: Page):
        page.on("websocket", lambda socket: socket.on("framereceived", self._keep))
        page.on("response", lambda response: self._responses.append(response))

    def _keep(self, payload):
        self.frames.append(payload if isinstance(payload, str) else payload.decode())

    def bodies(self) -> list[str]:
        """Of everything but the application's own files."""
        return [
            response.text()
            for response in self._responses
            if "/assets/" not in response.url and "json" in response.headers.get("content-type", "")
        ]


def option(page: Page, text: str):
    """The row of an option, with its bar and its figures."""
    return page.locator(".option-item, .present-bar").filter(has_text=text)


def choose(page: Page, *texts: str):
    """Marks these options and votes."""
    for text in texts:
        option(page, text).get_by_role("radio").or_(
            option(page, text).get_by_role("checkbox")
        ).check()
    page.get_by_role("button", name="Vote", exact=True).or_(
        page.get_by_role("button", name="Change my vote")
    ).click()


def expect_votes(page: Page, text: str, count: int):
    expect(option(page, text)).to_contain_text(f"{count} vote")


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
