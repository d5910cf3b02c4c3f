"""A poll on another site's page: it votes there without cookies, and is as high as it must be."""

import pytest
from playwright.sync_api import expect

from browser import PHONE

# In the browser the store makes no difference.
pytestmark = pytest.mark.sqlite


def test_a_poll_stands_in_a_foreign_page(gateway, visit, site):
    poll = gateway.create_poll([f"Option number {number}" for number in range(9)])
    site.folder.joinpath("page.html").write_text(
        f'<!doctype html><h1>Another site</h1><script src="{gateway.url}/embed.js" '
        f'data-poll="{poll.id}"></script>'
    )
    page = visit(gateway, viewport=PHONE)
    page.goto(f"{site.elsewhere}/page.html")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Which way?")
    # 20rem is what the script begins with: nine options need more, and nothing scrolls inside.
    page.wait_for_function("document.querySelector('iframe').clientHeight > 500")
    content = frame.locator("main").bounding_box()["height"]
    page.wait_for_function(
        "height => Math.abs(document.querySelector('iframe').clientHeight - height) <= 1",
        arg=content,
    )

    frame.get_by_role("radio", name="Option number 3").check()
    frame.get_by_role("button", name="Vote", exact=True).click()
    expect(frame.get_by_text("Your vote is counted.")).to_be_visible()
    # Chromium refuses storage to a frame of another site here: the page itself remembers.
    expect(frame.locator(".option.mine")).to_contain_text("Option number 3")
    assert gateway.results(poll)["counts"] == [0, 0, 0, 1, 0, 0, 0, 0, 0]
