"""The commands over runs, with hostile names everywhere."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bsmon.cli import bsmon
from bsmon.cli.setup import prepare
from bsmon.core.advice import Advice, AdvisorView, Answer, NoiseScale, TreeNode
from bsmon.core.errors import BadInput
from bsmon.core.happenings import (
    Advised,
    Evaluated,
    Failed,
    Happening,
    HardwareRead,
    Measured,
    MemoryExpected,
    Moment,
    Noted,
    PlanSet,
    RunDescribed,
    StateChanged,
)
from bsmon.core.records import Evaluation, EventKind, GradientStats, HardwareSample, HostSample, Level
from bsmon.core.snapshot import BatchState, Failure, MemoryForecast, RunInfo, RunState
from bsmon.store.export.tensorboard import crc32c
from bsmon.store.journal_writer import JournalWriter
from bsmon.store.provenance import about_this_process, process_identity
from bsmon.store.run_dir import RunDir
from tests import fakes
from tests.unit.store.happenings import training_steps

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "\x1b]52;c;AAAA\x07\x1b[2J\u202e<script src=//x>[bold]\n"

Run = Callable[..., RunDir]
Bsmon = Callable[..., str]


def course(text: str) -> list[Happening]:
    """A run with everything in it, all its texts being `text`."""
    info = RunInfo(
        text, config_path=text, task=text, model=text, optimizer=text, device=text, device_name=text, epochs=3
    )
    advice = Advice(fakes.ADVICE.action, text, text, text, text, 32, 64, 0.1, 0.2, learning_rate_rule=text)
    node = TreeNode(text, text, Answer.YES, (), text, True, 0, text, text)
    return [
        RunDescribed(info),
        PlanSet(BatchState(32, 32, 1, 1e-3)),
        StateChanged(RunState.TRAINING, text),
        training_steps(1, 30),
        Measured(GradientStats(30, 0.5)),
        HardwareRead(HardwareSample(1.0, HostSample(rss_bytes=2**30), gpu_status=text)),
        MemoryExpected((MemoryForecast(64, 2**31, None, None),), (), 2**29),
        Noted(EventKind.BATCH, Level.GOOD, text, 30, {"old": 32, "new": 64, "source": text}),
        PlanSet(BatchState(64, 64, 1, 1e-3)),
        Advised(AdvisorView((node,), advice, noise_scale=NoiseScale(200.0, 90.0, 400.0, 20, "split"))),
        training_steps(31, 10, 64),
        Evaluated(Evaluation(40, 1, 0.25, 0.75, 100, 0.1)),
        Failed(Failure(text, text)),
    ]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Make a run that has ended, in the current folder's runs/."""
    monkeypatch.chdir(tmp_path)

    def run(name: str = "tried", status: str = "failed", text: str = "words") -> RunDir:
        made = RunDir.create(Path("runs"), name, datetime.now(UTC), config=b"", about=about_this_process())
        made.update(status=status)
        writer = JournalWriter(made.journal_path, Moment(0.0, time.time()), text)
        writer.write(1.0, course(text))
        writer.close()
        return made

    return run


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Bsmon:
    """Run a command; what it printed on both streams."""

    def command(*arguments: str, status: int | None = None) -> str:
        capfd.readouterr()
        assert (bsmon.main(list(arguments), standalone_mode=False) or 0) == (status or 0)
        captured = capfd.readouterr()
        return captured.out + captured.err

    return command


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


def test_csv_has_a_row_an_update(make: Run, call: Bsmon) -> None:
    make("digits")
    rows = list(csv.DictReader(io.StringIO(call("export", "-o", "-"))))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 41)]
    assert rows[29]["grad_norm"] == "0.5"
    assert rows[28]["grad_norm"] == ""
    assert rows[39]["validation_loss"] == "0.25"


def test_json_has_everything(make: Run, call: Bsmon) -> None:
    make("digits", text=HOSTILE)
    found = json.loads(call("export", "--format", "json", "-o", "-"))
    assert len(found["steps"]) == 40
    assert len(found["steps"][0]) == len(found["columns"])
    assert found["evaluations"][0]["result"]["loss"] == 0.25
    assert len(found["events"]) == len(found["hardware"]) == len(found["advice"]) == 1


def test_crc32c_as_in_rfc_3720() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_tensorboard_files_hold_a_record_an_update(make: Run, call: Bsmon) -> None:
    make("digits")
    call("export", "--format", "tensorboard", "-o", "board")
    (path,) = Path("board").iterdir()
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    assert b"brain.Event:2" in records[0]
    assert len(records) == 41
    assert b"grad_norm" in records[30]


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


def test_parquet_holds_the_table_of_csv(make: Run, call: Bsmon) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed; the dev extra has it")
    make("digits")
    call("export", "--format", "parquet", "-o", "table.parquet")
    table = parquet.read_table("table.parquet").to_pylist()
    rows = list(csv.DictReader(io.StringIO(call("export", "-o", "-"))))
    assert len(table) == 40
    assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in table] == rows
    assert (table[39]["step"], table[39]["batch_size"], table[39]["validation_loss"]) == (40, 64, 0.25)


def test_parquet_without_pyarrow_says_what_to_install(make: Run, call: Bsmon, monkeypatch: pytest.MonkeyPatch) -> None:
    make("digits")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match="pip install pyarrow"):
        call("export", "--format", "parquet")
    assert list(Path().glob("*.part")) == []


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
