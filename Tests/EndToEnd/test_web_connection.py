"""What a page does while its connection is taken away: results come back, and never fall."""

import pytest
from playwright.sync_api import expect

from browser import expect_votes
from ports import free_port

# In the browser the store makes no difference.
pytestmark = pytest.mark.sqlite

# Every count of the first option that the page has ever shown.
WATCH_COUNTS = """() => {
    window.shown = [];
    const look = () => {
        const row = document.querySelector(".option-item");
        const found = row && /(\\d+) votes?/.exec(row.textContent);
        if (found) window.shown.push(Number(found[1]));
    };
    new MutationObserver(look).observe(
        document.body, { childList: true, subtree: true, characterData: true });
    look();
}"""

# As a proxy that knows HTTP alone does it: the handshake is refused.
REFUSE_WEBSOCKETS = """
    const Real = window.WebSocket;
    window.WebSocket = class extends Real {
        constructor(url, protocols) { super(url.replace("/ws/", "/nothing/"), protocols); }
    };
"""


@pytest.mark.parametrize("how", ["drained", "killed"])
def test_a_gateway_goes_and_comes_and_no_count_ever_falls(start_gateway, visit, how):
    gateway = start_gateway(
        "--listen", f"127.0.0.1:{free_port()}", "--drain", "2s", without=("--listen",)
    )
    poll = gateway.create_poll(["Yes", "No"])
    for number in range(3):
        gateway.cast(poll, 0, f"early {number}")
    page = visit(gateway, f"/p/{poll.id}")
    expect_votes(page, "Yes", 3)
    page.evaluate(WATCH_COUNTS)
    if how == "drained":
        gateway.stop()
    else:
        gateway.kill()
    gateway.start()
    gateway.cast(poll, 0, "late")
    expect_votes(page, "Yes", 4)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    shown = page.evaluate("window.shown")
    assert shown == sorted(shown)
    assert shown[-1] == 4


def test_where_websockets_are_refused_results_move_all_the_same(gateway, visit):
    poll = gateway.create_poll(["Yes", "No"])
    page = visit(gateway)
    page.context.add_init_script(REFUSE_WEBSOCKETS)
    page.goto(f"{gateway.url}/p/{poll.id}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=30_000)
    gateway.cast(poll, 0, "ada")
    expect_votes(page, "Yes", 1)
    gateway.close(poll)
    expect(page.get_by_text("Final result").or_(page.get_by_text("Closed")).first).to_be_visible()
