"""What comes with the program: its manual, its completions, and what it says of the machine."""

import os
import re
import subprocess

import pytest

from gateway import binary, run_to_end

# The store makes no difference.
pytestmark = pytest.mark.once

COMPLETE = r"""
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$* COMP_POINT=${#COMP_LINE}
_pollstream pollstream "${@: -1}" "${@: -2:1}"
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def options() -> set[str]:
    text = run_to_end("serve", "--help").stdout
    found = set(re.findall(r"^  (--[a-z-]+)", text, re.M)) - {"--version"}
    assert len(found) > 30
    return found


@pytest.fixture(scope="module")
def completions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completions")
    for shell in ("bash", "zsh", "fish"):
        done = run_to_end("--generate-completion-script", shell)
        assert done.returncode == 0
        (folder / shell).write_text(done.stdout)
    return folder


def complete(script, *words) -> set[str]:
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", script, *words], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_bash_completes_options_and_what_there_is_to_choose(completions, options, tmp_path):
    bash = completions / "bash"
    assert {"serve", "migrate", "check"} <= complete(bash, "pollstream", "")
    assert options <= complete(bash, "pollstream", "serve", "--")
    assert complete(bash, "pollstream", "serve", "--fe") == {"--feed", "--feed-rate"}
    assert complete(bash, "pollstream", "serve", "--fan-out", "") == {"auto", "send", "uring"}
    assert complete(bash, "pollstream", "check", "--soc") == {"--sockets"}
    (tmp_path / "key.pem").touch()
    assert complete(bash, "pollstream", "serve", "--tls-key", f"{tmp_path}/k") == {
        f"{tmp_path}/key.pem"
    }


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_of_every_option(shell, completions, options):
    text = (completions / shell).read_text()
    missing = [name for name in options if not re.search(rf"\b{name.lstrip('-')}\b", text)]
    assert missing == []


def test_the_manual_is_set_without_a_warning_and_its_dashes_can_be_copied(tmp_path, options):
    page = tmp_path / "pollstream.1"
    page.write_text(run_to_end("reference", "man").stdout)
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page],
        capture_output=True, text=True, timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "90", "MANPAGER": "cat"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in options if f"\n       {name}" not in done.stdout] == []
    assert "pollstream serve --listen 0.0.0.0:8080" in done.stdout


# check --sockets


def checked(sockets, descriptors=None):
    limit = f"ulimit -n {descriptors}; " if descriptors else ""
    words = [binary(), "check", "--loops", "1", "--sockets", str(sockets)]
    return subprocess.run(
        ["sh", "-c", f'{limit}exec "$@"', "sh", *words], capture_output=True, text=True
    )


def test_a_few_sockets_fit_in_anywhere():
    done = checked(10)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("10 sockets fit in here\n")


def test_too_few_descriptors_are_told_with_what_to_type():
    done = checked(500, descriptors=300)
    assert done.returncode == 1
    needed = 500 + 64 + 80
    assert f"change  ulimit -n: hard 300, and {needed} are needed" in done.stderr
    assert f"to do:  ulimit -n {needed} " in done.stderr
    assert checked(500, descriptors=needed).returncode == 0


@pytest.mark.parametrize("sockets", ["0", "-1", "many", "10000001"])
def test_a_number_of_sockets_that_is_none_is_a_usage_error(sockets):
    assert checked(sockets).returncode == 64
