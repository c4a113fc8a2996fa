"""Ranks as they really are: processes, which end with the run, however it ends, and never keep it waiting."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from bsmon.core.commands import Pause, Resume, Save, SetBatchSize, Stop
from bsmon.engine.checkpoint import CheckpointStore
from bsmon.engine.ranks.follower import update_seed
from bsmon.engine.ranks.group import Group
from bsmon.engine.ranks.orders import Present
from bsmon.engine.ranks.sums import GradientSums
from tests.unit.engine.harness import Due, Spy, play, same
from tests.unit.ranks.test_shared_update import config
from tests.unit.ranks.threads import ranks_in_threads

GIVE_UP_S = 60.0


def followers_of(pid: int) -> list[psutil.Process]:
    """The rank processes among a process's children."""
    return [p for p in psutil.Process(pid).children() if "bsmon.engine.ranks.process" in p.cmdline()]


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    give_up = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class At(Spy):
    """Does something to rank 1's process in the middle of update 4."""

    def __init__(self, act: Callable[[psutil.Process], None]) -> None:
        super().__init__()
        self._act = act

    def begin(self, step: int, micro_sizes: Sequence[int]) -> None:
        super().begin(step, micro_sizes)
        if step == 4:
            (rank,) = followers_of(os.getpid())
            self._act(rank)


def signal_all(rank: psutil.Process) -> None:
    """What ends a run may reach every process of it; ranks wait for rank 0's word, which saves first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        rank.send_signal(number)


def test_random_numbers_are_the_same_when_a_run_is_resumed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Dropout on every rank, a batch change and a pause: from a checkpoint in the middle the end is the same."""
    commands: list[Due] = [(2, SetBatchSize(12)), (3, Pause()), (3, Resume()), (5, Save())]
    settings = config("dropout", optimizer="AdamW", batch=9)
    whole = play(settings, tmp_path / "whole", commands, spy=At(signal_all))
    middle = min((tmp_path / "whole").glob("*.pt"))
    (tmp_path / "part").mkdir()
    shutil.copy(middle, tmp_path / "part")
    resumed = play(settings, tmp_path / "part", resume=True)
    assert resumed.recorder.rewinds == [5]
    assert same(whole.parts.model.state_dict(), resumed.parts.model.state_dict())
    assert not followers_of(os.getpid())
    said = capfd.readouterr()
    assert "printed by rank 1" in said.err
    assert "printed by rank 1" not in said.out


def test_seeds_differ_by_step_and_rank() -> None:
    seeds = {update_seed(seed, step, rank) for seed in range(3) for step in range(40) for rank in range(8)}
    assert len(seeds) == 3 * 40 * 8


def test_a_rank_that_is_killed_ends_the_run_with_its_weights_saved(tmp_path: Path) -> None:
    ended = play(config(epochs=50), tmp_path, spy=At(psutil.Process.kill), fails=True)
    failure = ended.recorder.failure
    assert failure is not None
    assert failure.message.startswith("rank 1 (process ")
    assert "was killed by SIGKILL" in failure.message
    assert failure.message.endswith("The weights are saved; --resume goes on from step 3.")
    assert ended.last_step == 3
    assert CheckpointStore(tmp_path).load().step == 3
    with ranks_in_threads():
        resumed = play(config(epochs=1), tmp_path, resume=True)
        undisturbed = play(config(epochs=1), tmp_path / "other")
    assert same(resumed.parts.model.state_dict(), undisturbed.parts.model.state_dict())


def test_a_rank_that_is_killed_before_a_sum_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Gloo waits for ever where the connection closed before the sum began."""
    add_up, sums = GradientSums.add_up, 0

    def too_late(self: GradientSums, group: Group, present: Present) -> None:
        nonlocal sums
        sums += 1
        if sums == 4:
            (rank,) = followers_of(os.getpid())
            rank.kill()
            until(lambda: has_ended(rank))
        add_up(self, group, present)

    with patch.object(GradientSums, "add_up", too_late):
        ended = play(config(epochs=50), tmp_path, fails=True)
    assert ended.recorder.failure is not None
    assert "was killed by SIGKILL" in ended.recorder.failure.message
    assert CheckpointStore(tmp_path).load().step == 3


class Suspending(At):
    """Rank 1 falls silent in update 4, and then somebody asks to stop."""

    def __init__(self) -> None:
        super().__init__(self._suspend)

    def _suspend(self, rank: psutil.Process) -> None:
        rank.suspend()
        self.step = 4  # the Stop below is due


def test_a_stop_does_not_wait_for_a_rank_that_is_silent(tmp_path: Path) -> None:
    with patch("bsmon.engine.ranks.patience.GIVE_UP_AFTER_S", 1):
        ended = play(config(epochs=50), tmp_path, [(4, Stop())], spy=Suspending(), fails=True)
    failure = ended.recorder.failure
    assert failure is not None
    assert "has not answered for 2 s, and the run was asked to stop. The weights are saved" in failure.message
    assert CheckpointStore(tmp_path).load().step == 3
    assert not followers_of(os.getpid())


def test_ranks_that_build_something_else_are_refused(tmp_path: Path) -> None:
    with ranks_in_threads():
        ended = play(config("unlike"), tmp_path, fails=True)
    failure = ended.recorder.failure
    assert failure is not None
    assert failure.bad_input
    assert "[model] has nothing where rank 0 has bias [3] torch.float32" in failure.message


RUN = """
[data]
task = "digits"
[model]
name = "mlp"
[run]
epochs = 100000
device = "cpu"
world_size = 2
[train]
eval_every = "never"
"""


def test_ranks_end_when_the_run_is_killed(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    program = [sys.executable, "-m", "bsmon", "train", "run.toml", "--headless", "--interval", "0.1"]
    place = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        program, cwd=tmp_path, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        lines = list(takewhile(lambda line: " step 1" not in line, run.stdout))
        (rank,) = followers_of(run.pid)
        run.kill()
        until(lambda: has_ended(rank))
    assert not list(tmp_path.glob("bsmon-ranks-*")), "the folder where the ranks met was left behind"
    assert any("on 2 ranks" in line for line in lines)
