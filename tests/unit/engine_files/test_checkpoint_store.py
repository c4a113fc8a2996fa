"""Checkpoints: what is written comes back, the newest are kept, and trouble is told."""

from __future__ import annotations

import json
import os
import random
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore
from tests.unit.engine_files.checkpoint_cases import flip, state_of, store_with


def test_all_plain_values_come_back_equal(tmp_path: Path) -> None:
    state = {
        "python": random.Random(3).getstate(),
        "torch": torch.get_rng_state(),
        "numbers": [0, -1, 2**80, 0.1, float("inf"), True, None],
        "bytes": b"\x00\xff",
        "nested": {"a": ({"b": [torch.arange(3), torch.tensor(2.5, dtype=torch.bfloat16)]},), 7: "ü"},
        "empty": torch.empty(0, 4),
    }
    store = CheckpointStore(tmp_path / "c")
    store.save(state, 7)
    loaded = store.load()
    assert (loaded.step, loaded.skipped) == (7, ())
    assert loaded.state["python"] == state["python"]
    for key in ("numbers", "bytes"):
        assert loaded.state[key] == state[key]
    assert repr(loaded.state["nested"]) == repr(state["nested"])
    torch.testing.assert_close(loaded.state["torch"], state["torch"], rtol=0, atol=0)


def test_model_and_optimizer_states_come_back(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    store = CheckpointStore(tmp_path / "c")
    store.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, 1)
    loaded = store.load().state
    torch.testing.assert_close(loaded["model"], dict(model.state_dict()), rtol=0, atol=0)
    torch.testing.assert_close(loaded["optimizer"], optimizer.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (np.float64(1.0), "numpy.float64"),
        (np.zeros(2), "numpy.ndarray"),
        (torch.nn.Parameter(torch.zeros(1)), "Parameter"),
        (Path("x"), "Path"),
        ({1, 2}, "set"),
        (print, "builtin_function_or_method"),
        ([1, {"deep": (object(),)}], "state['x'][1]['deep'][0] is a builtins.object"),
        ({Path("k"): 1}, "a key of state['x']"),
    ],
)
def test_anything_else_is_refused_and_named(tmp_path: Path, value: object, where: str) -> None:
    store, _ = store_with(tmp_path, 1)
    with pytest.raises(CheckpointFailed) as failed:
        store.save({"x": value}, 2)
    assert where in str(failed.value)
    assert store.load().step == 1


def test_a_list_that_holds_itself_is_refused(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(CheckpointFailed, match="nested deeper"):
        CheckpointStore(tmp_path).save({"loop": loop}, 1)


def test_two_are_kept_and_nothing_else_lies_about(tmp_path: Path) -> None:
    store, saved = store_with(tmp_path, 10, 20, 30, 40)
    assert store.steps() == (30, 40)
    assert {path.name for path in store.directory.iterdir()} == {
        saved[2].path.name,
        saved[3].path.name,
        "manifest.json",
    }
    assert saved[3].size_bytes == saved[3].path.stat().st_size


def test_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store, _ = store_with(tmp_path, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()} == {0o600}


def test_the_same_step_saved_twice_keeps_both(tmp_path: Path) -> None:
    store, _ = store_with(tmp_path, 5)
    second = store.save(state_of(6), 5)
    flip(second.path, 4000)
    loaded = store.load()
    assert loaded.state["value"] == 5
    assert second.path.name in loaded.skipped[0]


def test_after_a_fallback_the_newest_save_wins_over_a_higher_step(tmp_path: Path) -> None:
    store, saved = store_with(tmp_path, 80, 100)
    flip(saved[1].path, 999)
    assert store.load().step == 80
    store.save(state_of(90), 90)
    assert store.steps() == (80, 90)  # the damaged one went, not the good old one
    assert CheckpointStore(store.directory).load().step == 90


def test_other_files_in_the_directory_stay(tmp_path: Path) -> None:
    store, _ = store_with(tmp_path, 1)
    (store.directory / "notes.txt").write_text("mine")
    (store.directory / "best.pt").write_text("mine")
    for step in (2, 3, 4):
        store.save(state_of(step), step)
    assert (store.directory / "notes.txt").exists()
    assert (store.directory / "best.pt").exists()


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointFailed, match="not written: Not a directory"):
        CheckpointStore(tmp_path / "file" / "c").save({}, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_reported(tmp_path: Path) -> None:
    store, _ = store_with(tmp_path, 1)
    store.directory.chmod(0o500)
    with pytest.raises(CheckpointFailed, match="not written: Permission denied"):
        store.save({}, 2)
    assert store.load().step == 1


def test_the_manifest_names_whole_hashes(tmp_path: Path) -> None:
    store, saved = store_with(tmp_path, 1, 2)
    rows = json.loads((store.directory / "manifest.json").read_text())["checkpoints"]
    assert [row["file"] for row in rows] == [one.path.name for one in saved]
    assert all(len(row["sha256"]) == 64 for row in rows)
