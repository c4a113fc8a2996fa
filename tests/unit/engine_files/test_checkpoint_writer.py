"""Saving beside the training: nothing waits, nothing is lost silently."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore, Saved
from bsmon.engine.checkpoint_writer import CheckpointWriter

PATIENCE_S = 30


class HeldStore(CheckpointStore):
    """A store whose saves wait until they are let through."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.entered = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)

    def save(self, state: Mapping[str, object], step: int) -> Saved:
        self.entered.release()
        assert self.let_through.acquire(timeout=PATIENCE_S)
        return super().save(state, step)


@contextmanager
def writing(store: CheckpointStore) -> Iterator[CheckpointWriter]:
    writer = CheckpointWriter(store)
    yield writer
    assert writer.close(PATIENCE_S)


def test_a_submitted_state_is_saved_and_reported_once(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "c")
    with writing(store) as writer:
        writer.submit({"w": torch.ones(2)}, 3)
        assert writer.flush(PATIENCE_S)
        (outcome,) = writer.outcomes()
        assert isinstance(outcome, Saved)
        assert outcome.step == 3
        assert writer.outcomes() == ()
    assert store.load().step == 3


def test_the_newest_of_those_that_wait_wins(tmp_path: Path) -> None:
    store = HeldStore(tmp_path / "c")
    with writing(store) as writer:
        writer.submit({}, 1)
        assert store.entered.acquire(timeout=PATIENCE_S)
        for step in (2, 3, 4):
            writer.submit({}, step)  # returns although the first save is held up
        assert writer.busy
        store.let_through.release(2)
        assert writer.flush(PATIENCE_S)
        assert [outcome.step for outcome in writer.outcomes() if isinstance(outcome, Saved)] == [1, 4]
        assert not writer.busy


def test_closing_saves_what_waits(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "c")
    with writing(store) as writer:
        writer.submit({}, 8)
    assert store.load().step == 8


def test_flush_gives_up_when_the_time_is_over(tmp_path: Path) -> None:
    store = HeldStore(tmp_path / "c")
    with writing(store) as writer:
        writer.submit({}, 1)
        assert not writer.flush(0)
        store.let_through.release()


@pytest.mark.parametrize("failure", [CheckpointFailed("the disk is full"), KeyError("a bug")])
def test_a_failure_is_an_outcome_and_the_thread_lives_on(tmp_path: Path, failure: Exception) -> None:
    class FailsOnce(CheckpointStore):
        def save(self, state: Mapping[str, object], step: int) -> Saved:
            if step == 1:
                raise failure
            return super().save(state, step)

    with writing(FailsOnce(tmp_path / "c")) as writer:
        writer.submit({}, 1)
        assert writer.flush(PATIENCE_S)
        writer.submit({}, 2)
        assert writer.flush(PATIENCE_S)
        first, second = writer.outcomes()
        assert isinstance(first, CheckpointFailed)
        assert isinstance(second, Saved)
