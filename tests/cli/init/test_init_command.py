"""`init` on the command line: what it writes, what it never overwrites, and what it goes on without."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.cli.init.command import init, read
from bot.cli.init.tree import LARGEST, opened, remote_of

ROOT = """
-- a/main.tf --
terraform {
  backend "s3" {
    bucket       = "acme-state"
    key          = "a.tfstate"
    region       = "eu-west-1"
    use_lockfile = true
  }
}
"""


def test_it_writes_a_file_that_the_other_commands_load(laid_out, tmp_path):
    folder = laid_out(ROOT)
    run(folder, "init")
    ended = run(folder, "status", "no-such-state")

    assert (folder / "tflock.yml").is_file()
    assert ended.returncode == 2
    assert "There is no state called no-such-state. Configured: a" in ended.stderr


def run(folder, *words):
    command = [sys.executable, "-m", "bot", *words]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_same_result_is_success_and_changes_nothing(laid_out, tmp_path, capsys):
    folder, output = laid_out(ROOT), tmp_path / "tflock.yml"
    assert init([folder], output, {}, force=False) == 0
    before = output.read_text(encoding="utf-8")

    assert init([folder], output, {}, force=False) == 0
    assert output.read_text(encoding="utf-8") == before
    assert "1 state as before in" in capsys.readouterr().out


def test_another_result_is_shown_as_a_difference_and_not_written(laid_out, tmp_path, capsys):
    folder, output = laid_out(ROOT), tmp_path / "tflock.yml"
    output.write_text("version: 1\n# mine\n", encoding="utf-8")

    assert init([folder], output, {}, force=False) == 1
    shown = capsys.readouterr()
    assert output.read_text(encoding="utf-8") == "version: 1\n# mine\n"
    assert "-# mine\n" in shown.out
    assert "+      bucket: acme-state\n" in shown.out
    assert "Nothing was changed; --force overwrites it." in shown.err


def test_with_force_it_is_written(laid_out, tmp_path):
    folder, output = laid_out(ROOT), tmp_path / "tflock.yml"
    output.write_text("version: 1\n# mine\n", encoding="utf-8")

    assert init([folder], output, {}, force=True) == 0
    assert "bucket: acme-state" in output.read_text(encoding="utf-8")


def test_a_folder_without_terraform_leaves_nothing_behind(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert init([tmp_path / "empty"], tmp_path / "tflock.yml", {}, force=False) == 1
    assert not (tmp_path / "tflock.yml").exists()
    assert "No backend block and no remote_state was found" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["-", "tflock.yml"])
def test_states_that_all_lack_something_are_written_down_and_no_success(laid_out, tmp_path, output):
    folder = laid_out(ROOT.replace("use_lockfile = true", ""))
    path = Path("-") if output == "-" else tmp_path / output
    assert init([folder], path, {}, force=False) == 1


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path, capsys):
    assert init([tmp_path / "gone"], tmp_path / "tflock.yml", {}, force=False) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_two_checkouts_become_one_configuration(laid_out, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    (second / "main.tf").write_text(
        'terraform {\n  backend "gcs" {\n    bucket = "acme-two"\n  }\n}\n', encoding="utf-8"
    )

    text = read([opened(laid_out(ROOT)), opened(second)], {}).text
    assert "bucket: acme-state" in text
    assert "bucket: acme-two" in text


def test_a_broken_file_is_named_with_its_line_and_the_rest_goes_on(laid_out, capsys, tmp_path):
    folder = laid_out(
        ROOT
        + '-- b/main.tf --\nterraform {\n  backend "s3" {\n    bucket = \n  }\n}\n'
        + "-- .github/workflows/bad.yml --\non: push\njobs: {a: [\n"
        + '-- task.json --\n{"containerDefinitions": [\n"terraform"'
    )
    assert init([folder], Path("-"), {}, force=False) == 0
    shown = capsys.readouterr()

    assert "b/main.tf:3: is not HCL that can be read" in shown.err
    assert ".github/workflows/bad.yml:3: is not YAML that can be read" in shown.err
    assert "task.json:2: is not JSON that can be read" in shown.err
    assert "bucket: acme-state" in shown.out


def test_folders_of_tools_and_links_to_folders_are_left_out(laid_out):
    folder = laid_out(ROOT)
    for name in (".terraform/modules/x", "node_modules/y", "vendor/z", "a/.terragrunt-cache/q"):
        (folder / name).mkdir(parents=True)
        (folder / name / "main.tf").write_bytes((folder / "a/main.tf").read_bytes())
    (folder / "a/loop").symlink_to(folder, target_is_directory=True)
    (folder / "outside.tf").symlink_to("/etc/hostname")

    checkout = opened(folder)
    assert checkout.files == ("a/main.tf",)


def test_what_nobody_can_read_is_named_and_left_out(laid_out, capsys):
    folder = laid_out(ROOT)
    (folder / "self.tf").symlink_to("self.tf")
    (folder / "b\nc").mkdir()
    (folder / "sub/.git").mkdir(parents=True)
    for place in ("b\nc", "sub"):
        (folder / place / "main.tf").write_bytes((folder / "a/main.tf").read_bytes())
    os.mkfifo(folder / "pipe.tf")

    assert init([folder], Path("-"), {}, force=False) == 0
    shown = capsys.readouterr()
    assert "b\\nc:1: has signs in its name that cannot be written down, and was left out" in shown.err
    assert "sub:1: is another repository and was not read: give its path, too" in shown.err
    assert shown.out.count("bucket: acme-state") == 1


@pytest.mark.parametrize(("encoding", "complete"), [("utf-8", 1), ("latin-1", 0)])
def test_a_key_that_is_not_utf_8_is_asked(laid_out, encoding, complete):
    folder = laid_out(ROOT)
    (folder / "a/main.tf").write_bytes((folder / "a/main.tf").read_text().replace("a.tf", "\xe9.tf").encode(encoding))
    found = read([opened(folder)], {})

    assert found.complete == complete
    assert ("signs in it that are not UTF-8" in found.text) is not bool(complete)


def test_a_link_to_a_file_of_the_checkout_is_read(laid_out):
    folder = laid_out(ROOT)
    (folder / "b").mkdir()
    (folder / "b/backend.tf").symlink_to("../a/main.tf")
    found = read([opened(folder)], {})

    assert found.complete == 1  # one object in the store
    assert "# note: b/backend.tf:2 is this state, too" in found.text


def test_a_file_that_is_too_large_is_named_and_not_read(laid_out, capsys):
    folder = laid_out(ROOT)
    (folder / "b.tf").write_text("# backend \n" * (LARGEST // 10), encoding="utf-8")

    assert init([folder], Path("-"), {}, force=False) == 0
    assert "b.tf:1: is larger than 1024 KiB and was not read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "deep", ["[" * 100_000, "a:\n" + "".join(" " * n + "- \n" for n in range(700)), "x: &a [*a]\n"]
)
def test_a_workflow_that_nobody_wrote_stops_nothing(laid_out, deep):
    folder = laid_out(ROOT)
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/deep.yml").write_text(deep, encoding="utf-8")
    assert read([opened(folder)], {}).complete == 1


def test_a_thousand_folders_take_seconds(tmp_path):
    for number in range(1000):
        folder = tmp_path / "live" / f"stack{number:04}"
        folder.mkdir(parents=True)
        (folder / "backend.tf").write_text(
            f'terraform {{\n  backend "gcs" {{\n    bucket = "acme"\n    prefix = "{number}"\n  }}\n}}\n',
            encoding="utf-8",
        )
    started = time.process_time()
    found = read([opened(tmp_path)], {})

    assert found.complete == 1000
    assert time.process_time() - started < 60


def test_no_script_of_the_checkout_is_run(laid_out):
    mark = "touch ran.txt; terraform -chdir=a init; terraform -chdir=a apply"
    folder = laid_out(
        ROOT
        + f"-- .github/workflows/x.yml --\non: push\njobs: {{a: {{steps: [{{run: './go.sh; {mark}'}}]}}}}\n"
        + f"-- go.sh --\n$({mark})\n`{mark}`\n"
    )
    read([opened(folder)], {})
    assert not list(folder.rglob("ran.txt"))


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://github.com/acme/infra.git", "github.com", "acme/infra"),
        ("https://user:secret@github.com/acme/infra", "github.com", "acme/infra"),
        ("git@gitlab.example.com:group/sub/name.git", "gitlab.example.com", "group/sub/name"),
        ("ssh://git@git.example.com:2222/acme/infra.git", "git.example.com", "acme/infra"),
        ("git@ssh.dev.azure.com:v3/acme/project/repo", "ssh.dev.azure.com", "v3/acme/project/repo"),
    ],
)
def test_a_remote_is_known_in_all_its_forms_without_the_login(url, host, path):
    found = remote_of(url)
    assert (found.host, found.path) == (host, path)
