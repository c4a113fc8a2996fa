"""Checkpoints: what is written comes back, damage is found, tricks are refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import stat
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from bsmon.core.errors import BadInput
from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore, Saved


def state_of(value: int) -> dict[str, object]:
    return {"weights": OrderedDict(a=torch.full((16,), float(value))), "value": value}


def store_with(directory: Path, *steps: int) -> tuple[CheckpointStore, list[Saved]]:
    store = CheckpointStore(directory / "checkpoints")
    return store, [store.save(state_of(step), step) for step in steps]


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


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


def damaged_copies(data: bytes, count: int, seed: int) -> list[bytes]:
    """`count` versions of `data`, half cut short, half with one bit flipped, at random places."""
    chance = random.Random(seed)
    cut = [data[: chance.randrange(len(data))] for _ in range(count // 2)]
    for _ in range(count - len(cut)):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        cut.append(bytes(flipped))
    return cut


def detected(directory: Path, count: int, with_manifest: bool) -> int:
    """Damage the newest checkpoint `count` times; how often it was named and the older one loaded instead."""
    store, saved = store_with(directory, 1, 2)
    if not with_manifest:
        (store.directory / "manifest.json").unlink()
    newest = saved[1].path
    found = 0
    for data in damaged_copies(newest.read_bytes(), count, seed=count):
        newest.write_bytes(data)
        loaded = CheckpointStore(store.directory).load()
        found += loaded.step == 1 and any(newest.name in reason for reason in loaded.skipped)
    return found


@pytest.mark.parametrize("with_manifest", [True, False])
def test_every_damaged_checkpoint_is_detected(tmp_path: Path, with_manifest: bool) -> None:
    assert detected(tmp_path, 200, with_manifest) == 200


@pytest.mark.slow
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_thousand_damaged_checkpoints_are_detected(tmp_path: Path, with_manifest: bool) -> None:
    assert detected(tmp_path, 1000, with_manifest) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"checkpoints": 3}',
        '{"checkpoints": [{"file": "../../etc/passwd", "sha256": "0"}]}',
        '{"checkpoints": [{"file": 1, "sha256": null}]}',
        "[" * 100_000,
        "\x00" * 64,
    ],
    ids=["empty", "torn", "list", "null", "number", "path", "types", "deep", "zeros"],
)
def test_a_garbled_manifest_costs_nothing(tmp_path: Path, text: str) -> None:
    store, _ = store_with(tmp_path, 1, 2)
    (store.directory / "manifest.json").write_text(text)
    loaded = store.load()
    assert loaded.step == 2
    assert loaded.skipped[0].startswith("manifest.json: ")
    assert store.save(state_of(3), 3).step == 3
    assert store.load().skipped == ()


def test_a_flipped_bit_of_the_manifest_leaves_a_loadable_checkpoint(tmp_path: Path) -> None:
    store, _ = store_with(tmp_path, 1, 2)
    manifest = store.directory / "manifest.json"
    whole = manifest.read_bytes()
    for bit in range(0, len(whole) * 8, 7):  # every byte, each time another bit of it
        flip(manifest, bit)
        assert store.load().step in (1, 2)
        manifest.write_bytes(whole)


def test_a_checkpoint_renamed_but_not_yet_listed_is_used(tmp_path: Path) -> None:
    store, _ = store_with(tmp_path, 1)
    before = (store.directory / "manifest.json").read_bytes()
    store.save(state_of(2), 2)
    (store.directory / "manifest.json").write_bytes(before)
    loaded = CheckpointStore(store.directory).load()
    assert (loaded.step, loaded.skipped) == (2, ())


def test_a_listed_checkpoint_that_is_gone_is_named(tmp_path: Path) -> None:
    store, saved = store_with(tmp_path, 1, 2)
    saved[1].path.unlink()
    loaded = store.load()
    assert loaded.step == 1
    assert loaded.skipped == (f"{saved[1].path.name}: No such file or directory",)


def test_no_usable_checkpoint_says_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No usable checkpoint in"):
        CheckpointStore(tmp_path / "nothing").load()
    store, saved = store_with(tmp_path, 1)
    saved[0].path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"damaged: its SHA-256"):
        store.load()


def replace_by_link(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def replace_by_pipe(path: Path, elsewhere: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_directory(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("trick", [replace_by_link, replace_by_pipe, replace_by_directory])
def test_only_regular_files_are_read(tmp_path: Path, trick: object) -> None:
    assert callable(trick)
    store, saved = store_with(tmp_path, 1, 2)
    trick(saved[1].path, tmp_path / "elsewhere")
    loaded = store.load()
    assert loaded.step == 1
    assert saved[1].path.name in loaded.skipped[0]


def test_links_in_the_directory_are_never_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    store, _ = store_with(tmp_path, 1)
    (store.directory / "manifest.json").unlink()
    (store.directory / "manifest.json").symlink_to(victim)
    (store.directory / ".saving-0123.tmp").symlink_to(victim)
    store.save(state_of(2), 2)
    assert victim.read_text() == "precious"
    assert not (store.directory / "manifest.json").is_symlink()
    assert not (store.directory / ".saving-0123.tmp").is_symlink()


class _RunsCode:
    def __init__(self, flag: Path) -> None:
        self._flag = flag

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._flag),)


def test_a_file_that_would_run_code_is_skipped_and_runs_none(tmp_path: Path) -> None:
    """Its name and manifest carry the right hash: somebody who can write here made it on purpose."""
    store, saved = store_with(tmp_path, 1, 2)
    made = tmp_path / "made.pt"
    torch.save({"x": _RunsCode(tmp_path / "ran")}, made)
    saved[1].path.unlink()
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    made.rename(store.directory / f"000009-step-9-{digest[:16]}.pt")
    loaded = store.load()
    assert loaded.step == 1
    assert "holds more than plain values and tensors" in " ".join(loaded.skipped)
    assert not (tmp_path / "ran").exists()


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
