"""The image, without an engine to build it: what a Dockerfile should not do, and that its health
check tells a gateway that is ready from one that is not."""

import json
import re
import shlex
import subprocess

import pytest

from gateway import REPOSITORY

# The store makes no difference.
pytestmark = pytest.mark.once

DOCKERFILE = REPOSITORY / "deploy/Dockerfile"
COMPOSE = sorted((REPOSITORY / "deploy").glob("compose*.yaml"))


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instructions and what they are given, in order, with their lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


@pytest.fixture
def final(steps) -> list[tuple[str, str]]:
    """Those of the last stage, which is what is shipped."""
    last = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def given(steps, word) -> list[str]:
    return [rest for name, rest in steps if name == word]


def test_bases_are_named_to_their_release(steps):
    bases = [rest.split()[0] for rest in given(steps, "FROM")]
    bases += re.findall(r"^\s*image: (\S+:\S+)", "\n".join(f.read_text() for f in COMPOSE), re.M)
    assert len(bases) > 6
    for base in bases:
        assert re.search(r":[\w.]*(\d|bookworm)[\w.-]*$", base), base
        assert not base.endswith(":latest"), base


def lines(name) -> list[str]:
    text = (REPOSITORY / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_what_no_commit_has_stays_out_of_the_build():
    """A database, with the keys that cookies are signed with, above all. A name in .gitignore is
    meant at any depth, and in .dockerignore at the root alone."""
    ignored = [
        line.strip("/") if line.startswith("/") else "**/" + line.rstrip("/")
        for line in lines(".gitignore")
    ]
    assert lines(".dockerignore") == [".git", *ignored]
    assert {"**/*.db", "**/*.db-wal"} <= set(ignored)


def test_only_the_binary_comes_from_the_build(final):
    assert given(final, "COPY") == ["--from=build /pollstream /usr/local/bin/pollstream"]
    assert given(final, "ADD") == []


def test_packages_come_without_what_they_recommend_and_leave_no_lists(final):
    (install,) = given(final, "RUN")
    words = shlex.split(install)
    assert words[:4] == ["apt-get", "update", "&&", "apt-get"]
    assert {"-y", "--no-install-recommends"} <= set(words)
    assert "rm -rf /var/lib/apt/lists/*" in install
    # Each step ends the whole where it fails.
    assert not re.search(r"[;|](?!\|)", install)


def test_it_runs_as_a_user_without_rights_and_gets_its_signals(final):
    (user,) = given(final, "USER")
    # A number, because Kubernetes cannot tell whether a name is root's.
    assert user.isdigit() and int(user) >= 10_000
    (install,) = given(final, "RUN")
    assert f"useradd --system --uid {user} " in install
    order = [word for word, _ in final]
    assert order.index("USER") > order.index("RUN") and order.index("CMD") > order.index("USER")
    # Without a shell between: SIGTERM has to reach the gateway.
    (command,) = given(final, "CMD")
    assert json.loads(command) == ["pollstream", "serve"]
    assert given(final, "STOPSIGNAL") == ["SIGTERM"]


def test_what_is_listened_on_is_exposed(final):
    (variables,) = given(final, "ENV")
    listened = {setting.rpartition(":")[2] for setting in variables.split()}
    assert set(given(final, "EXPOSE")[0].split()) == listened
    # No password or key is part of an image.
    assert not re.search(r"KEY|PASSWORD|SECRET|DATABASE", variables)


def test_the_health_check_tells_ready_from_not(final, start_gateway):
    (check,) = given(final, "HEALTHCHECK")
    command = json.loads(check.split(" CMD ", 1)[1])
    gateway = start_gateway("--drain-delay", "20s", "--drain", "21s")
    port = gateway.ops_url.rpartition(":")[2]

    def healthy() -> bool:
        words = [word.replace("/127.0.0.1/9090", f"/127.0.0.1/{port}") for word in command]
        assert words != command
        return subprocess.run(words, capture_output=True, timeout=20).returncode == 0

    assert healthy()
    assert gateway.ops("POST", "/drain").status_code in (200, 202)
    assert not healthy()
    gateway.kill()
    assert not healthy()
