"""The application for everybody: languages, screens, and those who see or move otherwise."""

import gzip
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser import DESKTOP, PHONE, PROJECTOR, SMALL_PHONE, choose, expect_votes, option, overflow
from gateway import REPOSITORY, in_the_future

# In the browser the store makes no difference.
pytestmark = [pytest.mark.sqlite, pytest.mark.takes(70)]

TEXTS = REPOSITORY / "Sources/Page/app/texts"
# WCAG 2.0 to 2.2 at levels A and AA, and what axe's authors found to matter beyond.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def polls(gateway):
    """One of each kind that screens differ by, with votes."""
    polls = {
        "open": gateway.create_poll(
            ["Swift on the server, ten years on", "A database that never sleeps", "Neither"],
            title="Which talk should we hear again next year?",
            description="One vote each.", change_vote=True, end_time=in_the_future(hours=1),
        ),
        "scheduled": gateway.create_poll(starts_at=in_the_future(hours=1), kind="multiple"),
        "hidden": gateway.create_poll(results="after_close"),
        "closed": gateway.create_poll(["x" * 255, "Donaudampfschifffahrtsgesellschaft"]),
    }  # fmt: skip
    for number in range(5):
        gateway.cast(polls["open"], number % 2, f"voter {number}")
        gateway.cast(polls["closed"], number % 2, f"voter {number}")
    gateway.close(polls["closed"])
    return polls


SCREENS = {
    "join": "/",
    "vote": "/p/{open}",
    "scheduled": "/p/{scheduled}",
    "hidden": "/p/{hidden}",
    "closed": "/p/{closed}",
    "present": "/p/{open}/present",
    "host": "/host",
    "create": "/host?new",
    "hosted": "/host/{open}",
    "embed": "/embed/{open}",
    "unknown": "/p/987654",
}


@pytest.fixture
def screen(gateway, polls, visit):
    def open(name, **options):
        ids = {kind: poll.id for kind, poll in polls.items()}
        path = SCREENS[name].format(**ids)
        page = visit(gateway, path, host_of=polls.values(), **options)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if name == "host":
            expect(page.locator(".host-row")).to_have_count(len(polls))
        return page

    return open


@pytest.mark.parametrize("name", SCREENS)
def test_axe_finds_nothing(screen, name):
    page = screen(name, viewport=PHONE, reduced_motion="reduce")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", SCREENS)
def test_it_fits_every_screen_and_a_thumb(screen, name):
    page = screen(name, viewport=SMALL_PHONE)
    for viewport in (SMALL_PHONE, PHONE, DESKTOP, PROJECTOR):
        page.set_viewport_size(viewport)
        assert overflow(page) <= 0, viewport
    page.set_viewport_size(PHONE)
    assert page.evaluate(CONTROLS_TOO_SMALL) == []
    assert overflow(screen(name, viewport=SMALL_PHONE, locale="de-DE")) <= 0


# A box to tick is hit by its label too; a link in a sentence may be as low as the sentence.
CONTROLS_TOO_SMALL = """() =>
    [...document.querySelectorAll("a, button, select, input:not([hidden]), textarea")]
        .filter((control) => !control.closest("p:not(.actions)"))
        .map((control) => [control, (control.closest("label") ?? control).getBoundingClientRect()])
        .filter(([_, { left, width }]) => width > 0 && left >= 0)
        .filter(([_, { width, height }]) => height < 44 || width < 44)
        .map(([{ outerHTML: it }, { width, height }]) => `${it.slice(0, 80)} ${width} x ${height}`)
"""


# Languages


def texts(language: str) -> dict:
    return json.loads((TEXTS / f"{language}.json").read_text())


def forms(text) -> list[str]:
    return list(text.values()) if isinstance(text, dict) else [text]


def test_both_languages_say_the_same_things():
    english, german = texts("en"), texts("de")
    assert list(english) == list(german)
    for key in english:
        assert type(english[key]) is type(german[key]), key
        placeholders = [
            {name for form in forms(language[key]) for name in re.findall(r"\{(\w+)\}", form)}
            for language in (english, german)
        ]
        assert placeholders[0] == placeholders[1], key
        assert all(form.strip() for form in forms(german[key])), key


def test_every_text_that_the_screens_name_is_there():
    sources = [*TEXTS.parent.rglob("*.jsx"), *TEXTS.parent.rglob("*.js")]
    code = "\n".join(path.read_text() for path in sources)
    named = set(re.findall(r'\bt\((?:[^()"]*\? )?"([a-z]+(?:\.\w+)+)"', code))
    assert len(named) > 60
    assert named <= set(texts("en"))


def test_the_browser_s_language_is_spoken_and_another_can_be_chosen(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}", locale="de-AT")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("button", name="Abstimmen")).to_be_visible()
    page.get_by_label("Sprache").select_option("en")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="Vote", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Vote", exact=True)).to_be_visible()


def test_a_language_that_we_do_not_speak_becomes_english(gateway, visit):
    page = visit(gateway, "/", locale="fi-FI")
    expect(page.get_by_label("Join code")).to_be_visible()


# Those who see or move otherwise


def test_bars_move_unless_motion_is_unwelcome(gateway, poll, visit):
    def transition(**options):
        bar = visit(gateway, f"/p/{poll.id}", **options).locator(".bar-fill").first
        return bar.evaluate("bar => getComputedStyle(bar).transitionProperty")

    assert transition() == "transform"
    assert transition(reduced_motion="reduce") == "none"


def test_results_are_spoken_at_a_bearable_rate(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    spoken = page.get_by_test_id("spoken")
    expect(spoken).to_have_attribute("aria-live", "polite")
    page.evaluate("""() => {
        window.spoken = [];
        const region = document.querySelector("[data-testid=spoken]");
        new MutationObserver(() => window.spoken.push(performance.now())).observe(
            region, { childList: true, characterData: true, subtree: true });
    }""")
    for number in range(12):
        gateway.cast(poll, number % 2, f"voter {number}")
        expect_votes(page, "Yes", number // 2 + 1)
    expect(spoken).to_have_text("Open. 12 votes. A, Yes: 6; B, No: 6.")
    gateway.close(poll)
    expect(spoken).to_have_text("Closed. 12 votes. A, Yes: 6; B, No: 6.")
    assert len(page.evaluate("window.spoken")) == 2


def test_a_change_of_screen_moves_the_focus_and_names_the_document(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}", host_of=[poll])
    page.get_by_role("link", name="Host this poll").click()
    expect(page.get_by_role("button", name="Close voting")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("link", name="Host", exact=True).click()
    expect(page).to_have_title("Your polls · PollStream")


def test_what_is_chosen_is_not_told_by_colour_alone(gateway, poll, visit):
    gateway.cast(poll, 1, "ada")
    page = visit(gateway, f"/p/{poll.id}")
    choose(page, "No")
    row = option(page, "No")
    expect(row).to_contain_text("Your vote")
    expect(row).to_contain_text("In the lead")
    expect(row.locator(".letter")).to_have_text("B")


# What comes over the wire


def test_the_first_load_is_small(gateway):
    document = gateway.get("/")
    places = re.findall(r'(?:src|href)="(/assets/[^"]+)"', document.text)
    assert len(places) == 2
    sizes = {"/": len(gzip.compress(document.content))}
    for place in places:
        answer = gateway.get(place, headers={"Accept-Encoding": "gzip"}, stream=True)
        assert answer.headers["Content-Encoding"] == "gzip"
        sizes[place] = int(answer.headers["Content-Length"])
    assert sum(sizes.values()) < 100_000, sizes
