"""On a machine that has Python and nothing else, tests that need more are skipped and say what to install."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDY = (
    "tests/backends/test_real_terraform.py",
    "tests/browser",
    "tests/e2e/unlock/test_claims.py::test_a_shell_that_dies_of_a_signal_does_not_end_the_terraform_below_it",
    "tests/e2e/unlock/test_every_backend.py::test_click_on_unlock_frees_the_lock_of_a_killed_apply_and_the_next_apply_succeeds",
)


def played(directory, *tests, **environ):
    """The exit code and the summary of these tests where PATH has nothing on it."""
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST")}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=no", *tests],
        cwd=ROOT, env=kept | {"PATH": str(directory)} | environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout.splitlines()


def needs(lines):
    return [re.sub(r"^SKIPPED \[\d+\] \S+ ", "", line) for line in lines if line.startswith("SKIPPED")]


def test_what_is_missing_is_one_line_each_that_says_what_to_install(tmp_path):
    code, lines = played(tmp_path, *NEEDY)

    assert code == 0, lines
    assert sorted(needs(lines)) == [
        "needs a browser on PATH (chromium, chromium-browser, google-chrome): install Chromium",
        "needs terraform on PATH: install Terraform 1.11 or newer",
    ]
    assert re.fullmatch(r"1 passed, \d+ skipped in .*", lines[-1])


def test_an_empty_ci_is_no_ci(tmp_path):
    code, lines = played(tmp_path, NEEDY[0], CI="")

    assert code == 0, lines
    assert needs(lines) == ["needs terraform on PATH: install Terraform 1.11 or newer"]


def test_in_ci_what_is_missing_fails(tmp_path):
    code, lines = played(tmp_path, *NEEDY, CI="true")

    assert code == 1, lines
    assert re.fullmatch(r"1 passed, \d+ errors in .*", lines[-1])
    for need in ("needs terraform on PATH", "needs a browser on PATH"):
        assert any(line.startswith("ERROR") and need in line for line in lines)
