"""The audience's screens in a real browser: join, vote, and watch."""

import pytest
from playwright.sync_api import expect

from browser import Traffic, choose, expect_votes, option
from gateway import in_the_future
from live import check_hides_counts
from ports import free_port

# In the browser the store makes no difference.
pytestmark = [pytest.mark.sqlite, pytest.mark.takes(60)]


def test_a_code_that_was_read_aloud_leads_to_the_poll(gateway, poll, visit):
    page = visit(gateway)
    page.get_by_label("Join code").fill(poll.body["join_code"].lower())
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Which way?")
    assert page.url == f"{gateway.url}/p/{poll.id}"
    expect(page).to_have_title("Which way? · PollStream")


def test_a_scanned_link_leads_to_the_poll(gateway, poll, visit):
    page = visit(gateway, f"/join/{poll.body['join_code']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Which way?")


def test_a_wrong_code_is_explained_at_its_field(gateway, visit):
    page = visit(gateway)
    field = page.get_by_label("Join code")
    page.get_by_role("button", name="Join").click()
    expect(field).to_have_accessible_description("Type the code first.")
    field.fill("NOSUCH")
    page.get_by_role("button", name="Join").click()
    expect(field).to_have_accessible_description(
        "There is no poll with this code. Check it letter by letter."
    )
    expect(field).to_have_attribute("aria-invalid", "true")


def test_an_open_poll_is_found_in_the_list(gateway, visit):
    gateway.create_poll(title="In the list")
    page = visit(gateway)
    page.get_by_role("link", name="In the list").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("In the list")


def test_a_vote_moves_the_bars_of_others_without_reload(gateway, poll, visit):
    voter, watcher = (visit(gateway, f"/p/{poll.id}") for _ in range(2))
    expect_votes(watcher, "Yes", 0)
    watcher.evaluate("window.isTheSameDocument = true")
    choose(voter, "Yes")
    expect(voter.get_by_text("Your vote is counted.")).to_be_visible()
    expect_votes(watcher, "Yes", 1)
    expect(option(watcher, "Yes")).to_contain_text("100 %")
    expect(watcher.locator(".figures-line")).to_contain_text("Watching2")
    assert watcher.evaluate("window.isTheSameDocument")
    assert gateway.results(poll)["counts"] == [1, 0]


def test_a_vote_is_changed_where_that_is_allowed(gateway, visit):
    poll = gateway.create_poll(change_vote=True)
    page = visit(gateway, f"/p/{poll.id}")
    choose(page, "Yes")
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    choose(page, "No")
    expect(page.get_by_text("Your vote is changed.")).to_be_visible()
    expect_votes(page, "Yes", 0)
    expect_votes(page, "No", 1)
    assert gateway.results(poll)["counts"] == [0, 1]


def test_who_has_voted_reads_so_and_sees_what_they_chose(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    choose(page, "No")
    expect(page.get_by_role("radio")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("You have voted.")).to_be_visible()
    expect(option(page, "No")).to_contain_text("Your vote")
    expect(page.get_by_role("button", name="Vote")).to_have_count(0)


def test_a_second_choice_of_the_same_voter_is_refused_in_words(gateway, poll, visit):
    first = visit(gateway, f"/p/{poll.id}")
    second = visit(gateway, f"/p/{poll.id}", beside=first)
    expect(second.get_by_role("radio")).to_have_count(2)
    choose(first, "Yes")
    expect(first.get_by_text("Your vote is counted.")).to_be_visible()
    choose(second, "No")
    expect(second.get_by_text("You had already voted")).to_be_visible()
    assert gateway.results(poll)["counts"] == [1, 0]


def test_several_options_up_to_the_limit(gateway, visit):
    poll = gateway.create_poll(["Red", "Green", "Blue"], kind="multiple", max_choices=2)
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_text("Choose up to 2")).to_be_visible()
    choose_all = [option(page, text).get_by_role("checkbox") for text in ("Red", "Blue", "Green")]
    choose_all[0].check()
    choose_all[1].check()
    expect(choose_all[2]).to_be_disabled()
    choose_all[0].uncheck()
    expect(choose_all[2]).to_be_enabled()
    choose(page, "Green")
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    assert gateway.results(poll)["counts"] == [0, 1, 1]


def test_an_empty_ballot_is_not_sent(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    page.get_by_role("button", name="Vote", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose an option first.")
    assert gateway.results(poll)["total"] == 0


def test_voting_takes_no_mouse(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_role("radio")).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").last).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Vote", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    assert gateway.results(poll)["counts"] == [0, 1]


def test_a_scheduled_poll_opens_and_a_timed_one_closes_before_their_eyes(gateway, visit):
    poll = gateway.create_poll(
        starts_at=in_the_future(seconds=6), end_time=in_the_future(seconds=12)
    )
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_text("Voting has not started.")).to_be_visible()
    expect(page.get_by_role("timer")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    expect(page.get_by_role("radio")).to_have_count(2)
    choose(page, "Yes")
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    expect(page.get_by_text("Final result. Voting is closed.")).to_be_visible()
    expect_votes(page, "Yes", 1)
    expect(option(page, "Yes")).to_contain_text("Most votes")


def test_a_closed_poll_takes_no_vote_and_says_so(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_role("radio")).to_have_count(2)
    gateway.close(poll)
    expect(page.get_by_text("Final result. Voting is closed.")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)


@pytest.mark.parametrize("results", ["after_vote", "after_close"])
def test_hidden_results_reach_the_page_only_when_they_are_shown(gateway, visit, results):
    poll = gateway.create_poll(results=results)
    for number in range(7):
        gateway.cast(poll, 0, f"early {number}")
    traffic = Traffic()
    page = visit(gateway, f"/p/{poll.id}", traffic=traffic)
    explained = {
        "after_vote": "You see the results once you have voted.",
        "after_close": "The results stay hidden until the poll is closed.",
    }
    expect(page.get_by_text(explained[results])).to_be_visible()
    gateway.cast(poll, 1, "while they watch")
    if results == "after_close":
        choose(page, "No")
        expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    assert any('"snapshot"' in frame for frame in traffic.frames)
    for text in [*traffic.frames, *traffic.bodies()]:
        check_hides_counts(text)
    if results == "after_close":
        gateway.close(poll)
    else:
        choose(page, "No")
    expect_votes(page, "Yes", 7)
    expect_votes(page, "No", 2)


def test_a_vote_that_finds_no_gateway_is_kept_and_counted_once(start_gateway, visit):
    gateway = start_gateway("--listen", f"127.0.0.1:{free_port()}", without=("--listen",))
    poll = gateway.create_poll()
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    gateway.kill()
    choose(page, "Yes")
    expect(page.get_by_text("You are offline. Your vote is kept here")).to_be_visible()
    expect(page.get_by_text("Not live since")).to_be_visible()
    gateway.start()
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect_votes(page, "Yes", 1)
    assert gateway.results(poll)["counts"] == [1, 0]
    assert gateway.audit(poll)["consistent"]


def test_who_votes_is_asked_for_a_name_where_the_poll_wants_one(gateway, visit):
    poll = gateway.create_poll(["Yes", "No"], ask_name=True)
    page = visit(gateway, f"/p/{poll.id}")
    page.get_by_role("textbox").fill("Ada")
    page.get_by_role("button", name="Continue").click()
    choose(page, "Yes")
    expect(page.get_by_text("Your vote is counted.")).to_be_visible()
    assert "Ada" in gateway.ballots_csv(poll)


def test_an_unknown_poll_is_explained(gateway, visit):
    page = visit(gateway, "/p/987654")
    expect(page.get_by_role("heading", name="No such poll")).to_be_visible()
    page.get_by_role("link", name="To the start").click()
    expect(page.get_by_label("Join code")).to_be_visible()


def test_a_poll_that_is_deleted_goes_from_the_screen(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_role("heading", name="Which way?")).to_be_visible()
    assert gateway.call("DELETE", poll.path, token=poll.host_key).status_code == 204
    expect(page.get_by_role("heading", name="This poll was deleted")).to_be_visible()
