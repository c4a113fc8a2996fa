"""Damaged checkpoints are found, and tricks with files are refused."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
import torch

from bsmon.core.errors import BadInput
from bsmon.engine.checkpoint import CheckpointStore
from tests.unit.engine_files.checkpoint_cases import flip, state_of, store_with


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
