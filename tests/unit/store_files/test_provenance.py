"""Who made a run, and whether that process still lives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bsmon.store.provenance import about_this_process, git_commit, is_running, process_identity


def test_what_is_said_can_be_written_as_json() -> None:
    about = about_this_process()
    assert json.loads(json.dumps(about)) == about
    assert about["python"] == ".".join(str(part) for part in sys.version_info[:3])


def test_this_process_runs() -> None:
    assert is_running(about_this_process()) is True


def test_an_ended_process_does_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = {**about_this_process(), "process": process_identity(child.pid)}
    assert is_running(record) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    assert is_running(record) is False
    child.communicate()
    assert is_running(record) is False


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"host": "elsewhere"}, None),
        ({"process": None}, None),
        ({"process": "x"}, None),
        ({"process": {"pid": "1"}}, None),
        ({"process": {"pid": os.getpid(), "start_ticks": 1, "boot_id": "another boot"}}, False),
        ({"process": {**(process_identity(os.getpid()) or {}), "start_ticks": 1}}, False),
    ],
    ids=["other host", "none", "text", "no pid", "rebooted", "pid taken again"],
)
def test_what_is_not_this_process(change: dict[str, object], expected: bool | None) -> None:
    assert is_running({**about_this_process(), **change}) is expected


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_found(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert git_commit(tmp_path) is None
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) in (40, 64)
    assert git_commit(tmp_path / "missing") is None
