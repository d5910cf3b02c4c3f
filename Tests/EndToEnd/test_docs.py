"""The documents say what is so: links lead somewhere, what is named exists, commands run."""

import collections
import os
import re
import subprocess
from pathlib import Path

import pytest

from gateway import LIMITS, REPOSITORY, binary, run_to_end

# The store makes no difference.
pytestmark = pytest.mark.once

PAGES = sorted(
    page for pages in ("*.md", "docs/**/*.md", "Benchmarks/*.md") for page in REPOSITORY.glob(pages)
)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def anchors(page) -> set[str]:
    """As GitHub names the headings of a page."""
    text = FENCE.sub("", page.read_text())
    titles = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in plain}


def broken_links(page) -> list[str]:
    broken = []
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    assert not broken_links(page)


def test_links_of_a_release_lead_somewhere(tmp_path):
    """In the folder where it lies beside nothing else of the repository."""
    subprocess.run([REPOSITORY / "deploy" / "papers", tmp_path], check=True, timeout=50)
    pages = sorted(tmp_path.rglob("*.md"))
    assert tmp_path / "docs" / "troubleshooting.md" in pages and len(pages) > 40
    assert {page: links for page in pages if (links := broken_links(page))} == {}
    brought = {path.name for path in (tmp_path / "deploy").rglob("*") if path.is_file()}
    assert {"alerts.yml", "pollstream.json", "haproxy.cfg", "pollstream.yaml"} <= brought


def test_each_page_is_in_the_index():
    index = (REPOSITORY / "docs" / "README.md").read_text()
    pages = {path.name for path in (REPOSITORY / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def commands(page, name) -> list[str]:
    """The commands in the boxes of a page that run `name`, without their comments."""
    boxes = "\n".join(FENCE.findall(page.read_text())).replace("\\\n", " ")
    found = re.findall(rf"(?:^|[ /]){name} ([^\n]*)", boxes, re.MULTILINE)
    return [re.sub(r"\s# .*", "", command) for command in found]


def options(*command) -> set[str]:
    return set(re.findall(r"^ +(--[a-z-]+)", run_to_end(*command, "--help").stdout, re.MULTILINE))


# What the pages say of docker, pg_dump, certbot, the scripts and the bare limits.
OPTIONS_OF_OTHERS = {
    "--build", "--profile", "--schema", "--deploy-hook", "--build-only", "--uring",
    "--check", "--system", "--long", "--optimized", "--coverage", "--help", "--version",
    "--generate-completion-script",
}  # fmt: skip


def test_options_that_are_named_exist():
    known = {name: options(name) for name in ("serve", "check", "migrate")}
    bench = "".join(path.read_text() for path in REPOSITORY.glob("Benchmarks/Sources/**/*.swift"))
    declared = re.findall(r"@(?:Option|Flag)\b.*?\bvar (\w+)", bench, re.DOTALL)
    declared += re.findall(r'customLong\("([a-z-]+)"\)', bench)
    of_bench = {"--" + re.sub("[A-Z]", lambda c: f"-{c[0].lower()}", name) for name in declared}
    tests = "".join(path.read_text() for path in REPOSITORY.glob("Tests/**/*.py"))
    of_tests = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', tests))
    everything = set.union(*known.values()) | of_bench | of_tests | OPTIONS_OF_OTHERS
    unknown = []
    for page in PAGES:
        for subcommand, names in known.items():
            for command in commands(page, f"pollstream {subcommand}"):
                said = set(re.findall(r"(?<!\S)--[a-z-]+", command))
                unknown += [(page.name, name) for name in said - names]
        # Between backticks, at the beginning or after a space.
        for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text())):
            said = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", code))
            unknown += [(page.name, name) for name in said - everything]
    assert not unknown


def test_limits_that_are_named_exist():
    text = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"--limit ([a-z-]+)", text)) <= set(LIMITS.values())


def test_bounds_that_are_fixed_are_those_of_the_sources():
    text = (REPOSITORY / "docs" / "bounds.md").read_text()
    rows = re.findall(r"^\|[^|]*\| (\d[^|]*)\|.*\| (`[^|]*`), `([^`|]*)` \|$", text, re.MULTILINE)
    assert len(rows) == text.count("\n|") - 2 > 20
    for bound, names, path in rows:
        source = (REPOSITORY / path).read_text().replace("_", "")
        names = re.findall(r"\w+", names.replace("_", ""))
        values = re.findall(r"\d+", bound.replace(",", ""))[-len(names) :]
        for name, value in zip(names, values, strict=True):
            assert re.search(rf"\b{name}\b[^=\n]*[=:] {value}\b", source), f"{name} is not {value}"


def test_variables_that_are_named_exist():
    text = "".join(page.read_text() for page in PAGES)
    named = {name.lower().replace("_", "-") for name in re.findall(r"\bPOLLSTREAM_([A-Z_]+)", text)}
    assert {f"--{name}" for name in named - {"binary"}} <= options("serve")


def sources() -> str:
    """All of our Swift; texts that are joined from pieces are whole."""
    files = sorted((REPOSITORY / "Sources").rglob("*.swift"))
    return re.sub(r'"\s*\+ "', "", "".join(path.read_text() for path in files))


def first_column(page, heading) -> list[str]:
    """What stands in backticks in the first column of the tables below a heading."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", page.read_text(), re.DOTALL | re.MULTILINE)[1]
    columns = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return re.findall(r"`([^`]+)`", " ".join(columns))


TROUBLESHOOTING = REPOSITORY / "docs" / "troubleshooting.md"


def test_metrics_that_are_named_exist():
    text = "".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"`(pollstream_\w+)\*?[`{]", text)) - {"pollstream_voter"}
    assert len(named) > 10
    code = sources()
    assert {name for name in named if f'"{name}' not in code} == set()


def test_lines_of_the_log_that_are_named_are_written():
    named = first_column(TROUBLESHOOTING, "The log")
    assert len(named) > 15
    code = sources()
    subjects = re.findall(r'(?:Health\(of:|subject: String =) "([^"]+)"', code)
    lines = {f"{subject} {change}" for subject in subjects for change in ("lost", "recovered")}
    cut = {name for name in named if "…" in name}
    lines |= {name for name in named if f'"{name}' in code}
    assert set(named) - cut - lines == set()
    assert {piece for piece in pieces(cut) if piece not in code} == set()


def pieces(texts) -> set[str]:
    """What differs from time to time is left out with three dots."""
    return {piece.strip() for text in texts for piece in text.split("…")}


def test_texts_of_errors_that_are_named_are_said():
    named = first_column(TROUBLESHOOTING, "It does not start")
    assert len(named) > 8
    code = sources()
    said = {piece.removeprefix("cannot ") for piece in pieces(named)}
    assert {piece for piece in said if piece not in code} == set()


def test_codes_of_errors_that_are_named_are_answered():
    answered = set(re.findall(r'APIError\(\s*\d+, "(\w+)"', sources()))
    text = (REPOSITORY / "docs" / "protocol.md").read_text()
    rows = re.search(r"^## Errors\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)[1]
    columns = re.findall(r"^\|[^|]*\|([^|]*)", rows, re.MULTILINE)
    named = set(re.findall(r"`([a-z_]{3,})`", " ".join(columns)))
    assert len(named) > 15
    assert named - {"field"} <= answered


def test_files_that_are_named_exist():
    pages = [page for page in PAGES if page.parent.name != "decisions"]
    text = "".join(FENCE.sub("", page.read_text()) for page in pages)
    named = re.findall(r"`((?:deploy|docs|Sources|CSources|Tests|Benchmarks)/[\w./-]+)`", text)
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


ROWS = [REPOSITORY / "docs" / name for name in ("bad-input.md", "faults.md")]
TESTS = Path(__file__).parent


def rows() -> list[tuple[set[str], str]]:
    """Of the tables "Row by row", what each is for and which tests it names."""
    found = []
    for page in ROWS:
        text = re.search(r"^## Row by row\n(.*?)^## ", page.read_text(), re.DOTALL | re.MULTILINE)[
            1
        ]
        for line in re.findall(r"^\| [A-K]\d\d.*", text, re.MULTILINE):
            _, labels, _, tests, _ = line.split("|")
            ids = set(re.findall(r"[A-K]\d\d", labels))
            for letter, first, last in re.findall(r"([A-K])(\d\d) to [A-K](\d\d)", labels):
                ids |= {f"{letter}{n:02}" for n in range(int(first), int(last) + 1)}
            found.append((ids, tests))
    return found


def test_each_row_of_bad_input_names_a_test_that_exists():
    missing, counts = [], collections.Counter()
    for ids, tests in rows():
        counts.update(ids)
        names = re.findall(r"`([^`]+)`", tests)
        assert names, ids
        for file, _, test in (name.partition("::") for name in names):
            source = TESTS / file if test else REPOSITORY / file
            if not source.exists() or (test and f"\ndef {test}(" not in source.read_text()):
                missing.append((file, test))
    assert not missing
    assert len(counts) > 250 and max(counts.values()) == 1, "a row stands twice"


def test_each_row_that_a_test_names_is_on_the_page():
    known = set().union(*(ids for ids, _ in rows()))
    sources = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    # As the name of a row in a table, or behind a test's.
    labels = re.findall(r'(?<=")[A-K]\d\d(?= )|(?<=# )[A-K]\d\d(?:, [A-K]\d\d)*', sources)
    assert set(re.findall(r"[A-K]\d\d", " ".join(labels))) - known == {"I10"}, "an invariant"


def test_the_commands_of_the_quick_start_run(gateway):
    text = (REPOSITORY / "docs" / "quick-start.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    said, key = [], "psh_…"
    for block in blocks:
        commands = block.replace("http://127.0.0.1:8080", gateway.url).replace("psh_…", key)
        done = subprocess.run(
            ["bash", "-euc", commands.replace("curl -s", "curl -sS --fail-with-body")],
            capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        said.append(done.stdout)
        key = re.search(r'"host_key":"(psh_[^"]+)', said[0])[1]
    assert '"status":"counted"' in said[1]
    assert "Coffee,1" in said[2]
    assert "ada,2," in said[3] and '"consistent":true' in said[3]


def test_manual_and_completions_are_put_where_the_page_says(tmp_path):
    text = (REPOSITORY / "docs" / "deployment.md").read_text()
    block = re.search(r"^## Install\n.*?^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    done = subprocess.run(
        ["bash", "-euc", "set -o pipefail\n" + block.replace("/usr/local/", f"{tmp_path}/")],
        capture_output=True, text=True, timeout=50,
        env=os.environ | {"PATH": f"{Path(binary()).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    put = {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(put) == {"pollstream", "_pollstream", "pollstream.fish", "pollstream.1"}
    assert all("ledger" in text for text in put.values())


def test_the_arithmetic_of_the_capacity_page_holds():
    done = subprocess.run(
        [REPOSITORY / "docs" / "capacity" / "million.py", "--check"],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("together", [1, 10])
def test_a_delivery_of_redis_can_be_measured_as_the_capacity_page_says(together):
    done = subprocess.run(
        [REPOSITORY / "docs" / "capacity" / "redis_fanout.py", "10", "200", str(together)],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"10 subscribers, 200 messages .* {together} together: .* a delivery\n", done.stdout
    )


CLIENTS = REPOSITORY / "docs" / "clients.md"


def test_the_example_in_swift_is_the_one_that_is_compiled_and_run():
    shown = re.search(r"^```swift\n(.*?)^```", CLIENTS.read_text(), re.DOTALL | re.MULTILINE)[1]
    source = REPOSITORY / "Tests" / "PollStreamClientTests" / "ExampleTests.swift"
    lines = source.read_text().splitlines()
    begin, end = lines.index("    // docs/clients.md"), lines.index("    // end")
    assert [line.removeprefix("    ") for line in lines[begin + 1 : end]] == shown.splitlines()


def test_everything_of_the_javascript_client_is_documented():
    types = (REPOSITORY / "Sources" / "Page" / "client" / "pollstream.d.ts").read_text()
    page = CLIENTS.read_text()
    members = set()
    for name in ("ClientOptions", "Handlers", "Polls", "PollStream"):
        body = re.search(rf"(?:class|interface) {name} \{{\n(.*?)\n\}}", types, re.DOTALL)[1]
        members |= set(re.findall(r"^  (?:readonly )?(\w+)\??[(:]", body, re.MULTILINE))
    members.discard("constructor")
    status = re.search(r"status: (\"idle\".*);", types)[1]
    members |= set(re.findall(r'"(\w+)"', status))
    assert len(members) > 30
    assert {name for name in members if not re.search(rf"`[^`\n]*\b{name}\b", page)} == set()
