"""Terminals lost, idle cost afterwards, and the way back: one part of `benchmarks.faults`."""

from __future__ import annotations

import os
import random
import signal
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bsmon.core.commands import Pause
from bsmon.core.snapshot import RunState
from tests.faults.terminal.conftest import Run, until
from tests.faults.terminal.programs import BSMON, ROOT, TRAIN
from tests.pty_harness import Terminal

LATEST_S = 5.0
"""Hang-ups come at random moments of this long after the run's folder was made: before the first paint, before torch is
there, and while it trains."""

IDLE_S = 10.0
ATTACHMENTS = 5


def started(folder: Path) -> Terminal:
    """bsmon in a terminal, up to its first paint."""
    runtime = folder / "xdg"
    runtime.mkdir(mode=0o700)
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "XDG_RUNTIME_DIR": str(runtime), "OMP_NUM_THREADS": "1"}
    return Terminal([*BSMON, *TRAIN], columns=120, rows=40, cwd=folder, env=environment)


@dataclass(frozen=True, slots=True)
class HangUp:
    """One of them, and what came of it. `painted`: the first frame was there."""

    painted: bool
    survived: bool


def hang_up(delay_s: float) -> HangUp:
    """Hang up so long after the folder was made; the run must train, be stopped by SIGTERM and end with 130."""
    with tempfile.TemporaryDirectory() as name:
        run, terminal = Run(Path(name)), started(Path(name))
        with terminal:
            until((Path(name) / "runs").exists)
            terminal.read_for(delay_s)
            painted = "bsmon" in terminal.screen_text
            terminal.hangup()
            try:
                until(lambda: run.has_begun)
                run.is_training_on()
                run.terminate()
                survived = terminal.wait() == 130 and run.status == "stopped"
            except (AssertionError, OSError):
                print(f"not survived, {delay_s:.3f} s after the folder was made:\n{traceback.format_exc()}")
                survived = False
            finally:
                end(run)
            return HangUp(painted, survived)


def idle(folder: Path) -> None:
    """What a paused run without its terminal costs, all its threads together."""
    run, terminal = Run(folder), started(folder)
    with terminal:
        terminal.until("batch 32")
        remote = run.watch()
        remote.submit(Pause())
        until(lambda: remote.snapshot().state is RunState.PAUSED)
        remote.close()
        terminal.hangup()
        until(lambda: run.says("The terminal is gone"))
        used, main_used = seconds(run.pid, "stat"), seconds(run.pid, f"task/{run.pid}/stat")
        time.sleep(IDLE_S)
        share = 100 * (seconds(run.pid, "stat") - used) / IDLE_S
        main_share = 100 * (seconds(run.pid, f"task/{run.pid}/stat") - main_used) / IDLE_S
        end(run)
    print(f"idle after the terminal went (paused): {share:.2f} % of a core, the main thread {main_share:.2f} %")


def attached(folder: Path) -> None:
    """Seconds from `bsmon attach` to a chart on the screen."""
    run, terminal = Run(folder), started(folder)
    with terminal:
        terminal.until("batch 32")
        run.is_training_on()
        times = [timed(lambda: one_attachment(folder)) for _ in range(ATTACHMENTS)]
        end(run)
    print(f"attach to first chart: median {statistics.median(times):.2f} s of {ATTACHMENTS} (longest {max(times):.2f})")


def one_attachment(folder: Path) -> None:
    """Attach and look until the loss chart has its scale."""
    environment = {"PYTHONPATH": str(ROOT / "src"), "XDG_RUNTIME_DIR": str(folder / "xdg")}
    with Terminal([*BSMON, "attach"], columns=120, rows=40, cwd=folder, env=environment) as viewer:
        viewer.until("┤")


def timed(work: Callable[[], None]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def seconds(pid: int, name: str) -> float:
    """Processor time from a stat file of a process or a thread."""
    fields = Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(run: Run) -> None:
    """Leave no process behind."""
    if run.is_alive:
        os.kill(run.pid, signal.SIGKILL)
        until(lambda: not run.is_alive)


def main(hang_ups: int) -> None:
    """Print the figures."""
    for part in (idle, attached):
        with tempfile.TemporaryDirectory() as name:
            part(Path(name))
    moments = random.Random(3)
    made = [hang_up(moments.uniform(0, LATEST_S)) for _ in range(hang_ups)]
    early = sum(not one.painted for one in made)
    survived = sum(one.survived for one in made)
    print(f"hang-ups survived: {survived} of {hang_ups}, {early} of them before the first paint")
