"""The runs under a folder: finding one by a part of its name, and how each stands."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path

from bsmon.config.nearest import did_you_mean
from bsmon.core.errors import BadInput
from bsmon.core.text import clean
from bsmon.store.provenance import is_running
from bsmon.store.run_dir import RunDir

RUNS = Path("runs")

_ENDED = ("finished", "stopped", "failed")
_MOST_NAMED = 10  # in a message
_FRESH_S = 60.0  # hardware samples alone are written once a second; file servers and clocks lag


class Standing(StrEnum):
    """How a run stands, seen from outside."""

    LIVE = "live"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"  # its process is gone and never said how it ended
    UNKNOWN = "unknown"  # its process cannot be seen from this machine, and its files stand still


def standing(run: RunDir) -> Standing:
    """How this run stands now."""
    record = RunDir.open(run.path).record
    status = record.get("status")
    alive = is_running(record)
    if status in _ENDED:
        return Standing(str(status))
    if alive is not None:
        return Standing.LIVE if alive else Standing.LOST
    try:
        age = time.time() - run.journal_path.stat().st_mtime
    except OSError:
        return Standing.UNKNOWN
    return Standing.LIVE if age < _FRESH_S else Standing.UNKNOWN


def all_runs(root: Path = RUNS) -> list[RunDir]:
    """The runs under `root`, newest first. Folders that hold no run, or a damaged one, are left out."""
    found: list[tuple[float, RunDir]] = []
    try:
        folders = sorted(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        raise BadInput(f"{clean(str(root))} cannot be read: {error.strerror or error}.") from error
    for folder in folders:
        try:
            found.append(((folder / "run.json").stat().st_mtime, RunDir.open(folder)))
        except (OSError, BadInput):  # no run, or one that is being removed at this moment
            continue
    return [run for _, run in sorted(found, key=lambda pair: pair[0], reverse=True)]


def find_run(name: str | None, root: Path = RUNS, *, only: bool = False) -> RunDir:
    """The run meant by `name`: a folder, a name under `root`, or a part of one; the newest where several match.

    None means the newest of all. Raises BadInput, naming the nearest, when there is none; with `only` also where a
    part of a name matches several.
    """
    if name is not None and ("/" in name or (Path(name) / "run.json").exists()):
        return RunDir.open(Path(name))
    runs = all_runs(root)
    if not runs:
        raise BadInput(f"There are no runs under {clean(str(root))}/. bsmon train CONFIG makes one.")
    if name is None:
        return runs[0]
    exact = [run for run in runs if run.path.name == name]
    matching = exact or [run for run in runs if name in run.path.name]
    if only and len(matching) > 1:
        several = ", ".join(clean(run.path.name) for run in matching[:_MOST_NAMED])
        raise BadInput(f"{clean(name)} is a part of several names: {several}; give the whole one.")
    if matching:
        return matching[0]
    names = [clean(run.path.name) for run in runs[:_MOST_NAMED]]
    raise BadInput(f"There is no run {clean(name)} under {clean(str(root))}/: {did_you_mean(name, names)}")
