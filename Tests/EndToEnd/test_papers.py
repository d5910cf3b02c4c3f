"""What comes with the program: its completions."""

import re
import subprocess

import pytest

from gateway import run_to_end

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
