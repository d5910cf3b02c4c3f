"""The host's screens in a real browser: create, run, look after."""

import json
import re

import pytest
from playwright.sync_api import expect

from browser import expect_votes, option
from gateway import eventually, in_the_future

# In the browser the store makes no difference.
pytestmark = [pytest.mark.sqlite, pytest.mark.takes(40)]


def fill_options(page, *texts):
    for index, text in enumerate(texts):
        if index >= 2:
            page.get_by_role("button", name="Add an option").click()
        page.get_by_label(f"Option {index + 1}", exact=True).fill(text)


def test_a_poll_is_created_through_the_form(gateway, visit):
    page = visit(gateway, "/host")
    page.get_by_role("link", name="New poll").click()
    page.get_by_label("Question").fill("What is for lunch?")
    fill_options(page, "Soup", "Salad", "Toast", "Nothing")
    preview = page.get_by_role("region", name="Preview")
    expect(preview).to_contain_text("What is for lunch?")
    expect(preview.locator(".option")).to_have_count(4)

    page.get_by_role("button", name="Remove Option 4").click()
    page.get_by_role("button", name="Move Option 3 up").click()
    expect(page.get_by_label("Option 2", exact=True)).to_have_value("Toast")
    expect(page.get_by_label("Option 2", exact=True)).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_label("Option 1", exact=True)).to_be_focused()
    expect(preview.locator(".option-text").first).to_have_text("Toast")

    page.get_by_label("Several options").check()
    page.get_by_label("At most how many").fill("2")
    page.get_by_label("Results are shown").select_option("after_vote")
    page.get_by_label("Voters may change their vote").check()
    page.get_by_role("button", name="Create the poll").click()
    page.wait_for_url(re.compile(r"/host/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("What is for lunch?")

    poll = gateway.get(f"/polls/{page.url.rsplit('/', 1)[1]}/").json()
    assert [option["text"] for option in poll["options"]] == ["Toast", "Soup", "Salad"]
    assert (poll["kind"], poll["max_choices"]) == ("multiple", 2)
    assert (poll["results"], poll["change_vote"]) == ("after_vote", True)
    assert poll["state"] == "open"


def test_start_and_end_are_written_in_local_time(gateway, visit):
    page = visit(gateway, "/host?new", timezone_id="Asia/Tokyo")
    page.get_by_label("Question").fill("When?")
    fill_options(page, "Now", "Later")
    page.get_by_label("Starts").fill("2036-05-01T09:00:00")
    page.get_by_label("Ends").fill("2036-05-01T10:30:00")
    page.get_by_role("button", name="Create the poll").click()
    page.wait_for_url(re.compile(r"/host/\d+$"))
    poll = gateway.get(f"/polls/{page.url.rsplit('/', 1)[1]}/").json()
    assert poll["starts_at"] == "2036-05-01T00:00:00Z"
    assert poll["end_time"] == "2036-05-01T01:30:00Z"
    assert poll["state"] == "scheduled"


def test_mistakes_are_told_at_their_fields(gateway, visit):
    page = visit(gateway, "/host?new")
    page.get_by_role("button", name="Create the poll").click()
    question = page.get_by_label("Question")
    expect(question).to_be_focused()
    expect(question).to_have_accessible_description("Write the question.")
    question.fill("Is this right?")
    fill_options(page, "Yes", "Yes")
    page.get_by_role("button", name="Create the poll").click()
    second = page.get_by_label("Option 2", exact=True)
    expect(second).to_be_focused()
    expect(second).to_have_accessible_description(re.compile("This option is there already"))
    second.fill("No")
    page.get_by_label("Ends").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Create the poll").click()
    expect(page.get_by_label("Ends")).to_have_accessible_description(re.compile("in the future"))
    assert all(poll["title"] != "Is this right?" for poll in listed(gateway))


def listed(gateway) -> list[dict]:
    return gateway.get("/polls/?state=all&page_size=100").json()["results"]


def test_a_host_opens_extends_and_closes(gateway, visit):
    poll = gateway.create_poll(
        starts_at=in_the_future(hours=1), end_time=in_the_future(hours=2), change_vote=True
    )
    host = visit(gateway, f"/host/{poll.id}", host_of=[poll])
    audience = visit(gateway, f"/p/{poll.id}")
    expect(audience.get_by_text("Voting has not started.")).to_be_visible()

    host.get_by_role("button", name="Open now").click()
    expect(host.locator(".badge.open")).to_be_visible()
    expect(audience.get_by_role("radio")).to_have_count(2)
    gateway.cast(poll, 0, "ada")
    expect_votes(host, "Yes", 1)

    times = host.locator(".times")
    before = gateway.poll(poll)["end_time"]
    host.get_by_role("button", name="Change the end").click()
    host.get_by_role("button", name="+60 minutes").click()
    eventually(lambda: gateway.poll(poll)["end_time"] != before)
    assert gateway.poll(poll)["end_time"] > in_the_future(hours=2, minutes=30)
    expect(times).to_contain_text("Ends")
    host.get_by_role("button", name="Change the end").click()
    host.get_by_role("button", name="No end").click()
    expect(times).not_to_contain_text("Ends")

    host.get_by_role("button", name="Close voting").click()
    host.get_by_role("dialog").get_by_role("button", name="Close voting").click()
    expect(host.locator(".badge.closed")).to_be_visible()
    expect(audience.get_by_text("Final result. Voting is closed.")).to_be_visible()
    assert gateway.poll(poll)["state"] == "closed"


def test_closing_and_deleting_ask_first(gateway, poll, visit):
    page = visit(gateway, f"/host/{poll.id}", host_of=[poll])
    for name in ("Close voting", "Delete"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name=name)).to_be_focused()
    assert gateway.poll(poll)["state"] == "open"

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url(gateway.url + "/host")
    assert gateway.get(poll.path).status_code == 404
    assert page.evaluate("localStorage.getItem('pollstream.hosted')") == "[]"


def test_results_ballots_and_audit(gateway, poll, visit):
    gateway.cast(poll, 0, "ada")
    gateway.cast(poll, 1, "grace")
    page = visit(gateway, f"/host/{poll.id}", host_of=[poll])

    results = saved(page, "Results as CSV")
    assert results.splitlines()[0] == "option_id,text,votes"
    assert f"{poll.options[0]},Yes,1" in results
    assert json.loads(saved(page, "Results as JSON"))["counts"] == [1, 1]
    assert {line.split(",")[0] for line in saved(page, "All ballots as CSV").splitlines()[1:]} == {
        "ada",
        "grace",
    }
    page.get_by_role("button", name="Audit").click()
    expect(page.get_by_text("Consistent: 2 stored ballots, 2 counted")).to_be_visible()


def saved(page, name: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.path().read_text()


def test_the_join_link_is_copied_and_shown_as_a_code(gateway, poll, visit):
    page = visit(
        gateway, f"/host/{poll.id}", host_of=[poll],
        permissions=["clipboard-read", "clipboard-write"],
    )  # fmt: skip
    link = f"{gateway.url}/join/{poll.body['join_code']}"
    page.get_by_role("button", name="Copy the join link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    expect(page.get_by_role("img", name=f"QR code of {link}")).to_be_visible()


def test_host_keys_travel_in_a_file(gateway, visit, tmp_path):
    polls = [gateway.create_poll(title=f"Poll {number}") for number in range(2)]
    page = visit(gateway, "/host", host_of=polls)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export the keys").click()
    file = tmp_path / "keys.json"
    download.value.save_as(file)

    other = visit(gateway, "/host")
    other.locator("input[type=file]").set_input_files(file)
    expect(other.get_by_text("2 new keys.")).to_be_visible()
    other.get_by_label("Show").select_option("mine")
    other.get_by_role("link", name="Poll 1").click()
    expect(other.get_by_role("button", name="Close voting")).to_be_visible()
    other.get_by_role("button", name="Close voting").click()
    other.get_by_role("dialog").get_by_role("button", name="Close voting").click()
    expect(other.locator(".badge.closed")).to_be_visible()

    file.write_text("{}")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("This is no file of host keys.")).to_be_visible()


def test_polls_are_searched_and_filtered(gateway, visit):
    polls = [
        gateway.create_poll(title="Apples"),
        gateway.create_poll(title="Pears"),
        gateway.create_poll(title="Plums", starts_at=in_the_future(hours=1)),
    ]
    page = visit(gateway, "/host", host_of=polls)
    rows = page.locator(".host-row")
    expect(rows).to_have_count(3)
    page.get_by_label("Search").fill("pear")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Pears")
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("scheduled")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Plums")


def test_the_list_of_polls_is_live_over_one_socket(gateway, visit):
    polls = [gateway.create_poll(title=f"Live {number}") for number in range(3)]
    page = visit(gateway, "/host", host_of=polls).context.new_page()
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.goto(gateway.url + "/host")
    row = page.locator(".host-row").filter(has_text="Live 1")
    expect(row).to_contain_text("0 votes")
    gateway.cast(polls[1], 0, "ada")
    expect(row).to_contain_text("1 vote")
    gateway.close(polls[1])
    expect(row).to_contain_text("Closed")
    assert len(sockets) == 1


def test_without_the_key_nothing_can_be_done(gateway, poll, visit):
    page = visit(gateway, f"/host/{poll.id}")
    expect(page.get_by_text("This browser does not hold the key")).to_be_visible()
    expect(page.get_by_role("button", name="Close voting")).to_have_count(0)


def test_the_host_sees_hidden_results_and_the_audience_does_not(gateway, visit):
    poll = gateway.create_poll(results="after_close")
    gateway.cast(poll, 0, "ada")
    host = visit(gateway, f"/host/{poll.id}", host_of=[poll])
    audience = visit(gateway, f"/p/{poll.id}")
    expect_votes(host, "Yes", 1)
    expect(audience.get_by_text("Results hidden")).to_be_visible()
    expect(option(audience, "Yes")).not_to_contain_text("vote")


def test_who_must_have_the_admin_key_is_asked_for_it(start_gateway, visit):
    key = "psa_" + "k" * 32
    gateway = start_gateway("--admin-key", key)
    page = visit(gateway, "/host")
    page.get_by_role("link", name="New poll").click()
    page.get_by_label("Question").fill("Who may?")
    fill_options(page, "Some", "All")
    page.get_by_role("button", name="Create").click()
    page.locator("input[type=password]").fill(key)
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(r"/host/\d+"))
