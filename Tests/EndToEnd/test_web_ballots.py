"""Ballots of a page whose answers are lost: each stays with the voter that it was sent as."""

import re
import time
from dataclasses import dataclass

import jwt
import pytest
from playwright.sync_api import Page, Route

from gateway import REPOSITORY, Gateway, Poll

# In the browser the store makes no difference.
pytestmark = pytest.mark.sqlite

OPEN = """async ([url, options]) => {
    const { PollStream } = await import(`${url}/client/pollstream.js`);
    window.polls = new PollStream(url, options);
    window.steps = [];
    window.polls.on("ballot", (step) => window.steps.push(step));
}"""
VOTE = """([poll, option]) => {
    window.outcome = null;
    window.polls.vote(poll, [option]).then((outcome) => { window.outcome = outcome; });
}"""
SECRET = "a secret that is long enough for anybody"
CLOCK_LEEWAY = 30


@pytest.fixture(scope="module")
def gateway(start_module_gateway, tmp_path_factory) -> Gateway:
    key = tmp_path_factory.mktemp("key") / "secret"
    key.write_text(SECRET)
    return start_module_gateway("--jwt-key", key)


@pytest.fixture
def blank(site) -> str:
    site.folder.joinpath("blank.html").write_text("<!doctype html><title>Blank</title>")
    return "/blank.html"


@pytest.fixture
def elsewhere(visit, gateway, site, blank) -> "Tabs":
    """Where no cookie travels."""
    return Tabs(visit, gateway, site.elsewhere + blank)


@pytest.fixture
def at_home(visit, gateway) -> "Tabs":
    """Where one does: with a document of the gateway's own that is not the application."""
    return Tabs(visit, gateway, f"{gateway.url}/embed.js")


@dataclass
class Sent:
    """A ballot on its way to the gateway, and what that answered."""

    page: Page
    poll: int
    token: str | None
    status: int | None = None


class Tabs:
    """Of one browser, each with the document at `address` and the module in it. Their ballots are
    listed in `sent`. One reaches the gateway if `hears` says so, and its answer reaches the page if
    `answers` does."""

    def __init__(self, visit, gateway: Gateway, address: str):
        self.visit, self.gateway, self.address = visit, gateway, address
        self.sent: list[Sent] = []
        self.hears = lambda _: True
        self.answers = lambda _: True
        self.first = visit(gateway)  # where the browser gets its cookie
        self.first.context.route(f"{gateway.url}/votes/", self._pass)

    def open(self, **options) -> Page:
        page = self.visit(self.gateway, "/embed.js", beside=self.first)
        page.goto(self.address)
        page.evaluate(OPEN, [self.gateway.url, options])
        return page

    def _pass(self, route: Route):
        request = route.request
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        ballot = Sent(request.frame.page, request.post_data_json["poll_id"], bearer or None)
        self.sent.append(ballot)
        if not self.hears(ballot):
            return route.abort("connectionreset")
        answer = route.fetch()
        ballot.status = answer.status
        if not self.answers(ballot):
            return route.abort("connectionreset")
        return route.fulfill(response=answer)

    def counted_as(self) -> set[str | None]:
        return {ballot.token for ballot in self.sent if ballot.status in (200, 201)}

    def keep(self, poll: Poll):
        """Leaves a ballot that the gateway has never heard to the tabs that come later."""
        page = self.open()
        self.hears = lambda _: False
        vote(page, poll)
        wait_for_step(page, "kept")
        page.close()

    def wait(self, turns=1) -> bool:
        """Hears a ballot when another tab, if it does, has sent too."""
        self.first.wait_for_timeout(500 * turns)
        return True

    def lose(self, page: Page, poll: Poll):
        """The gateway counts a ballot, the page does not hear so, and is not heard any more."""
        self.answers = lambda ballot: ballot.status == 401
        self.hears = lambda _: not self.counted_as()
        vote(page, poll)
        wait_for_step(page, "kept")
        assert self.counted_as()

    def find(self):
        """The network is back."""
        self.hears = self.answers = lambda _: True


def vote(page: Page, poll: Poll, choice=0):
    page.evaluate(VOTE, [poll.id, poll.options[choice]])


def outcome(page: Page) -> str:
    page.wait_for_function("window.outcome !== null", timeout=30_000)
    return page.evaluate("window.outcome.status")


def wait_for_step(page: Page, status: str):
    page.wait_for_function("status => steps.some((step) => step.status === status)", arg=status)


def token(subject: str, seconds: float = 600) -> str:
    """A JWT that is valid for so long."""
    claims = {"sub": subject, "exp": time.time() + seconds - CLOCK_LEEWAY}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def sign_in(page: Page, jwt: str):
    page.evaluate("token => { polls.voterToken = token; }", jwt)


def example(word: str) -> str:
    """The one in the documents with this word."""
    page = (REPOSITORY / "docs" / "clients.md").read_text()
    return next(box for box in re.findall(r"```js\n(.*?)```", page, re.DOTALL) if word in box)


def test_two_polls_at_once_are_voted_in_by_one_voter(gateway, elsewhere):
    polls = [gateway.create_poll(), gateway.create_poll()]
    page = elsewhere.open()
    lost = []

    def lose_the_first(ballot: Sent) -> bool:
        if lost or ballot.poll != polls[0].id or ballot.status != 201:
            return True
        lost.append(ballot)
        return False

    elsewhere.answers = lose_the_first
    page.evaluate(
        "polls => Promise.all(polls.map(([poll, option]) => window.polls.vote(poll, [option])))",
        [[poll.id, poll.options[0]] for poll in polls],
    )
    assert lost
    assert len(elsewhere.counted_as()) == 1
    assert [gateway.results(poll)["total"] for poll in polls] == [1, 1]


@pytest.mark.parametrize("has_locks", [True, False])
def test_two_tabs_at_once_are_one_voter(gateway, elsewhere, has_locks):
    polls = [gateway.create_poll(), gateway.create_poll()]
    if not has_locks:
        elsewhere.first.context.add_init_script("delete Navigator.prototype.locks")
    tabs = [elsewhere.open(), elsewhere.open()]
    assert tabs[0].evaluate("'locks' in navigator") == has_locks
    # One is answered while the other waits.
    elsewhere.hears = lambda _: elsewhere.wait(turns=min(len(elsewhere.sent), 2))
    for tab, poll in zip(tabs, polls, strict=True):
        vote(tab, poll)
    assert [outcome(tab) for tab in tabs] == ["counted", "counted"]
    assert len(elsewhere.counted_as()) == 1


def test_of_two_restored_tabs_one_sends_what_was_kept(gateway, poll, elsewhere):
    elsewhere.keep(poll)
    elsewhere.hears = lambda _: elsewhere.wait()
    first, second = elsewhere.open(), elsewhere.open()
    wait_for_step(first, "counted")
    second.wait_for_timeout(1_000)
    # Its process may read storage a moment late: then it is sent again, as the same voter.
    steps = [step["status"] for step in second.evaluate("steps")]
    assert steps in ([], ["sending", "repeated"])
    assert len(elsewhere.counted_as()) == 1
    assert gateway.results(poll)["total"] == 1


def test_a_tab_sends_what_was_kept_when_the_one_that_tried_is_gone(gateway, poll, elsewhere):
    elsewhere.keep(poll)
    first, second = elsewhere.open(), elsewhere.open()
    wait_for_step(first, "kept")
    elsewhere.hears = lambda ballot: ballot.page == second
    second.wait_for_timeout(500)
    assert second.evaluate("steps") == []
    first.close()
    wait_for_step(second, "counted")
    assert gateway.results(poll)["total"] == 1


def test_where_a_jwt_has_expired_no_cookie_votes_in_its_place(gateway, poll, at_home):
    page = at_home.open(voterToken=token("ada", seconds=10))
    at_home.lose(page, poll)
    page.wait_for_timeout(11_000)
    at_home.find()
    assert outcome(page) == "unauthorized"
    assert gateway.results(poll)["total"] == 1
    renewed = page.evaluate(
        "async ([token, poll, option]) => { const renewedToken = async () => token;"
        f"{example('renewedToken').replace('7, [31]', 'poll, [option]')} return outcome.status; }}",
        [token("ada"), poll.id, poll.options[0]],
    )
    assert [ballot.status for ballot in at_home.sent[-3:]] == [401, 401, 200]
    assert renewed == "repeated"
    assert gateway.results(poll)["total"] == 1


def test_a_jwt_that_is_renewed_names_the_same_voter(gateway, poll, at_home):
    page = at_home.open(voterToken=token("ada", seconds=600))
    at_home.lose(page, poll)
    fresh = token("ada", seconds=1200)
    sign_in(page, fresh)
    at_home.find()
    assert outcome(page) == "repeated"
    assert at_home.sent[-1].token == fresh


@pytest.mark.parametrize("where", ["at_home", "elsewhere"])
def test_who_signs_in_meanwhile_does_not_vote_again(gateway, poll, where, request):
    """Once by the cookie, once by a token of the gateway's."""
    tabs = request.getfixturevalue(where)
    page = tabs.open()
    tabs.lose(page, poll)
    sign_in(page, token("bea"))
    page.close()
    page = tabs.open(voterToken=token("bea"))
    tabs.find()
    wait_for_step(page, "repeated")
    assert len(tabs.counted_as()) == 1
    assert gateway.results(poll)["total"] == 1


def test_another_choice_meanwhile_is_the_same_voters(gateway, elsewhere):
    poll = gateway.create_poll(change_vote=True)
    page = elsewhere.open()
    elsewhere.lose(page, poll)
    page.close()
    page = elsewhere.open(voterToken=token("bea"))
    vote(page, poll, 1)
    elsewhere.find()
    assert outcome(page) == "changed"
    assert gateway.results(poll)["counts"] == [0, 1]


def test_a_token_that_the_gateway_no_longer_knows_gives_way(elsewhere, poll):
    page = elsewhere.open(voterToken="psv_of-a-former-key")
    vote(page, poll)
    assert outcome(page) == "counted"


def test_but_not_for_a_ballot_that_may_be_counted(gateway, elsewhere, poll):
    page = elsewhere.open(voterToken="psv_of-a-former-key")
    elsewhere.hears = lambda _: False
    vote(page, poll)
    wait_for_step(page, "kept")
    elsewhere.find()
    assert outcome(page) == "unauthorized"
    assert gateway.results(poll)["total"] == 0


def test_who_reads_may_do_without_a_jwt_that_has_expired(gateway, poll, at_home):
    expired = token("ada", seconds=-600)
    page = at_home.open(voterToken=expired)
    page.evaluate("id => { polls.subscribe(id, {}); }", poll.id)
    page.wait_for_function("polls.connection.status === 'live'", timeout=60_000)
    assert page.evaluate("polls.voterToken") == expired
    vote(page, poll)
    assert outcome(page) == "unauthorized"
    assert gateway.results(poll)["total"] == 0


def test_next_door_a_socket_has_a_cookie_that_http_has_not(start_gateway, visit, site, blank):
    gateway = start_gateway("--allowed-origin", site.next_door)
    poll = gateway.create_poll()
    tabs = Tabs(visit, gateway, site.next_door + blank)
    tabs.first.context.unroute_all()  # which would lend HTTP the cookie
    tabs.first.context.route_web_socket(f"{gateway.url.replace('http', 'ws')}/ws/", without_acks)
    page = tabs.open()
    page.evaluate("id => { polls.subscribe(id, {}); }", poll.id)
    page.wait_for_function("polls.connection.status === 'live'", timeout=30_000)
    vote(page, poll)
    assert outcome(page) == "counted"
    assert gateway.results(poll)["total"] == 1


def without_acks(socket):
    gateway = socket.connect_to_server()
    gateway.on_message(lambda text: None if '"ack"' in text else socket.send(text))
