"""The run directory: made whole or not at all, private, readable again."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.core.errors import BadInput
from bsmon.core.snapshot import RunState
from bsmon.store.run_dir import RunDir, clean_name

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC).astimezone()
TIME = f"{NOW:%Y%m%d-%H%M%S}"
CONFIG = b'[data]\ntask = "digits"  # secret = "${TOKEN}"\n'


def create(root: Path, name: str = "try", exact: Path | None = None) -> RunDir:
    return RunDir.create(root, name, NOW, config=CONFIG, about={"torch": "2.13"}, exact=exact)


def test_a_new_run_has_its_files(tmp_path: Path) -> None:
    run = create(tmp_path / "runs", "My run: #1")
    assert run.path == tmp_path / "runs" / f"My-run-1-{TIME}"
    assert run.config_path.read_bytes() == CONFIG
    assert run.checkpoints_path.is_dir()
    record = json.loads(run.record_path.read_text())
    assert record == {
        "format": 1,
        "name": "My run: #1",
        "started": NOW.isoformat(),
        "status": "starting",
        "torch": "2.13",
    }
    assert {path.name for path in run.path.iterdir()} == {"config.toml", "run.json", "checkpoints"}
    assert (run.journal_path.name, run.log_path.name) == ("journal.jsonl", "log.txt")


def test_everything_is_this_users_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run = create(tmp_path)
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [run.path, *run.path.iterdir()]}
    assert modes == {run.path.name: 0o700, "checkpoints": 0o700, "config.toml": 0o600, "run.json": 0o600}


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    assert [create(tmp_path).path.name for _ in range(3)] == [f"try-{TIME}", f"try-{TIME}-2", f"try-{TIME}-3"]


def test_status_changes_are_seen_by_readers(tmp_path: Path) -> None:
    run = create(tmp_path)
    run.update(status=RunState.TRAINING)
    run.update(status=RunState.FINISHED, exit_status=0)
    again = RunDir.open(run.path)
    assert again.record["status"] == RunState.FINISHED
    assert again.record["exit_status"] == 0
    assert again.record["torch"] == "2.13"
    assert again.record == run.record


def test_the_path_survives_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = create(Path("runs"))
    monkeypatch.chdir("/")
    run.update(status="training")
    assert RunDir.open(tmp_path / "runs" / f"try-{TIME}").record["status"] == "training"


def test_an_exact_folder_may_be_new_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert create(tmp_path, exact=tmp_path / "new" / "deep").path == tmp_path / "new" / "deep"
    assert create(tmp_path, exact=tmp_path / "empty").config_path.exists()


def test_an_exact_folder_that_holds_something_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match="is not empty"):
        create(tmp_path, exact=tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    create(tmp_path, exact=tmp_path / "run")
    with pytest.raises(BadInput, match=r"already holds a run.*--resume"):
        create(tmp_path, exact=tmp_path / "run")


@pytest.mark.parametrize("exact", [False, True])
def test_a_file_in_the_way_is_said(tmp_path: Path, exact: bool) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"(Not a directory|File exists).*--run-dir"):
        create(tmp_path / "file" / "runs", exact=tmp_path / "file" if exact else None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="Permission denied"):
        create(tmp_path / "runs")


FULL = """
import resource, sys
from datetime import datetime
from pathlib import Path
from bsmon.core.errors import BadInput
from bsmon.store.run_dir import RunDir
root = Path(sys.argv[1])
empty = root / "empty"
empty.mkdir()
run = RunDir.create(root, "before", datetime.now(), config=b"x", about={})
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
for exact in (None, root / "new", empty):
    try:
        RunDir.create(root, "after", datetime.now(), config=b"x" * 100, about={}, exact=exact)
    except BadInput as error:
        print(error)
try:
    run.update(status="training")
except OSError as error:
    print(error.strerror, RunDir.open(run.path).record["status"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.update()
print(RunDir.open(run.path).record["status"], len(list(run.path.iterdir())))
print(len(list(root.iterdir())), len(list(empty.iterdir())))
"""


def test_a_full_disk_is_said_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert [("cannot be made: File too large" in line) for line in lines[:3]] == [True] * 3
    assert lines[3:] == ["File too large starting", "training 3", "2 0"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no run folder"),
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("\udcff", "is damaged"),
        ("[]", "is not of a run"),
        ('{"format": 99}', "is not of a run"),
    ],
    ids=["none", "empty", "torn", "deep", "bytes", "list", "newer"],
)
def test_what_is_no_run_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInput, match=said):
        RunDir.open(tmp_path)


def put_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(path.read_bytes())  # readable, so that only the link itself can be the reason
    path.unlink()
    path.symlink_to(target)


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("put", "said"), [(put_link, "links are not followed"), (put_pipe, "no regular file")], ids=["link", "pipe"]
)
@pytest.mark.parametrize("file", ["run.json", "config.toml"])
def test_links_are_not_followed_and_pipes_not_waited_for(
    tmp_path: Path, put: Callable[[Path], None], said: str, file: str
) -> None:
    run = create(tmp_path)
    assert RunDir.open(run.path).config_text() == CONFIG.decode()
    put(run.path / file)
    with pytest.raises(BadInput, match=f"{file} cannot be read: .*{said}"):
        RunDir.open(run.path).config_text()


def test_messages_hold_no_escape_codes(tmp_path: Path) -> None:
    for attempt in (RunDir.open, partial(create, tmp_path, "try")):
        hostile = tmp_path / "a\x1b]52;c;eA==\x07"
        hostile.mkdir(exist_ok=True)
        (hostile / "x").write_text("")
        with pytest.raises(BadInput) as raised:
            attempt(hostile)
        assert str(raised.value).isprintable()


@given(st.text())
def test_names_become_safe_file_names(name: str) -> None:
    cleaned = clean_name(name)
    assert 1 <= len(cleaned) <= 60
    assert cleaned.isascii()
    assert cleaned[0] not in ".-"
    assert not set(cleaned) & set("/\\ \x00\n\x1b")
    assert clean_name(cleaned) == cleaned


@pytest.mark.parametrize(
    ("name", "cleaned"), [("../../etc", "etc"), ("...", "run"), ("a b", "a-b"), ("ü", "run"), ("x" * 99, "x" * 60)]
)
def test_names(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned
