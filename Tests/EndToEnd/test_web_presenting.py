"""The projector's screen in a real browser: seen from afar, driven from the keyboard."""

import pytest
from playwright.sync_api import expect

from browser import DESKTOP, PROJECTOR, expect_votes, option, overflow
from gateway import in_the_future

# In the browser the store makes no difference.
pytestmark = [pytest.mark.sqlite, pytest.mark.takes(30)]


def test_the_screen_shows_how_to_join_and_moves_live(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}/present", viewport=PROJECTOR)
    expect(page.get_by_role("heading", level=1)).to_have_text("Which way?")
    link = f"{gateway.url}/join/{poll.body['join_code']}"
    expect(page.get_by_role("img", name=f"QR code of {link}")).to_be_visible()
    expect(page.get_by_text(poll.body["join_code"])).to_be_visible()
    gateway.cast(poll, 1, "ada")
    expect_votes(page, "No", 1)
    expect(option(page, "No")).to_contain_text("100 %")
    expect(option(page, "No")).to_contain_text("In the lead")


def test_keys_start_and_close_a_poll(gateway, visit):
    poll = gateway.create_poll(starts_at=in_the_future(hours=1))
    page = visit(gateway, f"/p/{poll.id}/present", host_of=[poll], viewport=PROJECTOR)
    expect(page.locator(".badge.scheduled")).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator(".badge.open")).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_text("The poll is open already.")).to_be_visible()

    page.keyboard.press("c")
    expect(page.get_by_role("dialog", name="Close this poll?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".badge.open")).to_be_visible()
    page.keyboard.press("c")
    page.get_by_role("dialog").get_by_role("button", name="Close voting").click()
    expect(page.locator(".badge.closed")).to_be_visible()
    expect(page.get_by_text("Final result")).to_be_visible()
    assert gateway.poll(poll)["state"] == "closed"


def test_a_late_answer_takes_no_newer_notice_away(gateway, visit):
    poll = gateway.create_poll(starts_at=in_the_future(hours=1))
    page = visit(gateway, f"/p/{poll.id}/present", host_of=[poll])
    expect(page.locator(".badge.scheduled")).to_be_visible()
    late = []
    page.route("**/open/", lambda route: late.append((route, route.fetch())))
    page.keyboard.press("s")
    expect(page.locator(".badge.open")).to_be_visible()
    page.keyboard.press("s")
    notice = page.get_by_text("The poll is open already.")
    expect(notice).to_be_visible()
    [(route, answer)] = late
    with page.expect_response("**/open/") as arrived:
        route.fulfill(response=answer)
    arrived.value.finished()
    page.evaluate("new Promise((done) => setTimeout(done, 50))")
    expect(notice).to_be_visible()


def test_keys_go_to_the_host_s_other_polls(gateway, visit):
    polls = [gateway.create_poll(title=f"Number {number}") for number in range(3)]
    page = visit(gateway, f"/p/{polls[0].id}/present", host_of=polls)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Number 0")
    for key, number in (("n", 1), ("ArrowRight", 2), ("n", 0), ("p", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        expect(heading).to_have_text(f"Number {number}")
    page.go_back()
    expect(heading).to_have_text("Number 2")


def test_a_key_hides_the_results_and_shows_them(gateway, poll, visit):
    gateway.cast(poll, 0, "ada")
    page = visit(gateway, f"/p/{poll.id}/present")
    expect_votes(page, "Yes", 1)
    page.keyboard.press("h")
    expect(page.get_by_text("The presenter hides the results for now.")).to_be_visible()
    expect(option(page, "Yes")).not_to_contain_text("vote")
    expect(page.locator(".figures-line")).to_contain_text("Results hidden")
    page.keyboard.press("h")
    expect_votes(page, "Yes", 1)


def test_the_keys_are_explained(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}/present")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Start voting")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_key_fills_the_screen(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}/present")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")


def test_who_has_no_key_is_told_so(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}/present")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("c")
    expect(page.get_by_text("This browser does not hold the key of this poll.")).to_be_visible()
    assert gateway.poll(poll)["state"] == "open"


@pytest.mark.parametrize("count", [2, 8, 20])
@pytest.mark.parametrize("viewport", [PROJECTOR, DESKTOP], ids=["projector", "desktop"])
def test_all_of_it_fits_on_the_screen(gateway, visit, viewport, count):
    options = [f"The answer with the number {number}" for number in range(count)]
    poll = gateway.create_poll(options, title="Which of the many talks shall we hear again?")
    page = visit(gateway, f"/p/{poll.id}/present", viewport=viewport)
    expect(page.locator(".present-bar")).to_have_count(count)
    assert overflow(page) <= 0
    assert page.evaluate("document.documentElement.scrollHeight") <= viewport["height"]
    sizes = page.locator(".present-text").evaluate_all(
        "rows => rows.map((row) => parseFloat(getComputedStyle(row).fontSize))"
    )
    # What is read from the back row: a 32nd of the picture's height, of twenty options a 50th.
    assert min(sizes) >= viewport["height"] / (50 if count == 20 else 32)
    clipped = "list => list.scrollHeight > list.clientHeight"
    assert not page.locator(".present-bars").evaluate(clipped)
