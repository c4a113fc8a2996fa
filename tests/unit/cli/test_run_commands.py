"""The commands over runs, with hostile names everywhere."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bsmon.cli.setup import prepare
from bsmon.core.errors import BadInput
from bsmon.store.provenance import process_identity
from tests.unit.cli.recorded_runs import HOSTILE, Bsmon, Run

ROOT = Path(__file__).resolve().parents[3]


def test_runs_lists_what_is_there(make: Run, call: Bsmon) -> None:
    assert "no runs under runs/" in call("runs")
    done = make("digits", "finished")
    lost = make("crashed", "starting")
    lost.update(process={**(process_identity(os.getpid()) or {}), "start_ticks": 1})
    live = make("going", "training")
    listed = {run["name"]: run for run in json.loads(call("runs", "--json"))}
    assert {run["state"] for run in listed.values()} == {"finished", "lost", "live"}
    assert listed[done.path.name]["batch_sizes"] == [32, 64]
    assert listed[done.path.name]["step"] == 40
    assert listed[lost.path.name]["state"] == "lost"
    line = next(line for line in call("runs").splitlines() if live.path.name in line)
    assert "32>64" in line
    assert "live" in line


def test_a_run_elsewhere_is_unknown_once_its_files_stand_still(make: Run, call: Bsmon) -> None:
    run = make("away", "training")
    run.update(host="another-machine")
    assert json.loads(call("runs", "--json"))[0]["state"] == "live"
    os.utime(run.journal_path, (1, 1))
    assert json.loads(call("runs", "--json"))[0]["state"] == "unknown"


def test_a_misspelt_run_is_told_the_nearest(make: Run, call: Bsmon) -> None:
    with pytest.raises(BadInput, match="There are no runs"):
        call("log", "digits")
    make("digits")
    with pytest.raises(BadInput, match=r'did you mean "digits-\d+-\d+"'):
        call("log", "digist-20261122-063115")
    other = make("digits-more")
    with pytest.raises(BadInput, match="part of several names"):
        call("rm", "digits", "--yes")
    call("rm", other.path.name, "--yes")
    assert not other.path.exists()


def test_rm_asks_and_spares_what_is_live(make: Run, call: Bsmon, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make("digits")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "nothing was removed" in call("rm", "digits", status=1)
    run.update(status="training")
    with pytest.raises(BadInput, match="is live"):
        call("rm", "digits", "--yes")
    Path("runs/link").symlink_to(run.path)
    run.update(status="finished")
    with pytest.raises(BadInput, match="is a link"):
        call("rm", "runs/link", "--yes")
    assert run.path.exists()


def test_log_shows_the_last_lines_clean(make: Run, call: Bsmon) -> None:
    run = make("digits")
    assert "nothing was printed" in call("log")
    run.log_path.write_bytes(b"one\ntwo \x1b[31mred\xff\nthree\nhalf")
    assert call("log", "-n", "2") == "two \ufffd[31mred\ufffd\nthree\n"
    assert call("log", "-n", "0") == ""


def test_stop_signals_that_very_process(make: Run, call: Bsmon) -> None:
    run = make("digits", "training")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        run.update(process=process_identity(child.pid))
        assert "asked" in call("stop", "digits")
        assert child.wait(10) == -signal.SIGTERM
    with pytest.raises(BadInput, match="not running on this machine"):
        call("stop", "digits")


def test_stop_leaves_a_later_process_of_the_same_pid_alone(make: Run, call: Bsmon) -> None:
    run = make("digits", "training")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        run.update(process={**(process_identity(child.pid) or {}), "start_ticks": 1})
        with pytest.raises(BadInput, match="not running on this machine"):
            call("stop", "digits")
        assert child.poll() is None
        child.kill()


def test_in_a_run_made_again_the_advisor_does_only_what_is_recorded(make: Run) -> None:
    make("tried")
    config, auto = ROOT / "examples" / "digits.toml", ['advisor.mode="auto"']
    assert prepare(config, auto, None, None).config.advisor.mode == "auto"
    again = prepare(config, auto, None, None, replay="tried")
    assert again.config.advisor.mode == "advise"
    assert again.run_dir.record["overrides"] == [*auto, 'advisor.mode="advise"']


def test_tensorboard_files_are_read_by_tensorboard(make: Run, call: Bsmon) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader", reason="not installed")
    make("digits")
    call("export", "--format", "tensorboard", "-o", "board")
    (path,) = Path("board").iterdir()
    events = list(loader.LegacyEventFileLoader(str(path)).Load())
    assert [event.step for event in events[1:]] == list(range(1, 41))
    losses = {value.tag: value.simple_value for value in events[40].summary.value}
    assert losses["batch_size"] == 64
    assert losses["validation_loss"] == 0.25


class Page(HTMLParser):
    """Collects what a page would fetch, and checks that its elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.kinds: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("text", ["words", HOSTILE])
def test_a_report_is_whole_and_needs_nothing_else(make: Run, call: Bsmon, text: str) -> None:
    make("digits", text=text)
    call("report", "-o", "report.html")
    written = Path("report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(written)
    assert page.open == []
    assert page.fetched == []
    assert "script" not in page.kinds
    assert {"svg", "polyline", "table"} <= page.kinds
    assert "url(" not in written
    assert "@import" not in written
    for said in ("32→64", "Gradient noise scale", "Memory against batch size", "Goodput", "Followed 0 times"):
        assert said in written
    assert "\x1b" not in written


def test_a_report_of_a_run_that_never_began(make: Run, call: Bsmon) -> None:
    run = make("digits")
    run.journal_path.unlink()
    call("report", "-o", "report.html")
    assert "Nothing was measured." in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs",),
        ("runs", "--json"),
        ("log",),
        ("log", "no\x1b[2Jsuch"),
        ("stop", "digits"),
        ("rm", "digits"),
        ("export", "-o", "-"),
        ("export", "--format", "json", "-o", "-"),
        ("export", "--format", "parquet", "-o", "-"),
        ("export", "--format", "tensorboard", "-o", "board"),
        ("report", "-o", "no\x1b[2Jsuch/report.html"),
        ("show",),
    ],
    ids=" ".join,
)
def test_no_escape_codes_come_out(make: Run, call: Bsmon, arguments: tuple[str, ...]) -> None:
    run = make("digits", text=HOSTILE)
    run.log_path.write_text(HOSTILE)
    run.update(name=HOSTILE, host=HOSTILE, status=HOSTILE, process=None)
    hostile = run.path.with_name("digits\x1b]0;x\x07\n")
    run.path.rename(hostile)
    try:
        said = call(*arguments)
    except (BadInput, AssertionError) as error:
        said = str(error)
    assert not any(character not in "\n" and not character.isprintable() for character in said), said
