"""Everything that `bsmon train` needs before the first frame: the config and the run's folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bsmon.config.compare import differences
from bsmon.config.load import load, parse
from bsmon.config.schema import Config
from bsmon.core.errors import BadInput
from bsmon.store.provenance import about_this_process
from bsmon.store.run_dir import RunDir, clean_name
from bsmon.ui.themes import choose_theme

RUNS = Path("runs")
NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Start:
    """A run about to begin. `changed`: settings that differ from the run that is resumed."""

    config: Config
    run_dir: RunDir
    resume: bool
    changed: dict[str, tuple[str, str]]


def prepare(path: Path, overrides: Sequence[str], resume: str | None, exact: Path | None) -> Start:
    """Read the config and make the run's folder, or find the one to resume. Raises BadInput."""
    config = load(path, overrides)
    choose_theme(config.ui.theme, os.environ)  # before anything is made: a theme that is not there is bad input
    about = {**about_this_process(), "overrides": list(overrides)}
    if resume is None:
        text = path.read_bytes()
        run = RunDir.create(RUNS, config.run.name, datetime.now().astimezone(), config=text, about=about, exact=exact)
        return Start(config, run, resume=False, changed={})
    if exact is not None:
        raise BadInput("--resume goes on in the run's own folder; leave out --run-dir")
    run = RunDir.open(newest_run(config.run.name) if resume == NEWEST else Path(resume))
    return Start(config, run, resume=True, changed=_changes(run, config))


def newest_run(name: str) -> Path:
    """The folder of the newest run of this name under runs/. Raises BadInput when there is none."""
    stem = clean_name(name)
    folders = [path.parent for path in RUNS.glob(f"{stem}-*/run.json")]
    if not folders:
        raise BadInput(f"--resume: there is no run named {stem} under {RUNS}/; give its folder, or leave out --resume")
    return max(folders, key=lambda folder: (folder / "run.json").stat().st_mtime)


def _changes(run: RunDir, config: Config) -> dict[str, tuple[str, str]]:
    given = run.record.get("overrides")
    overrides = [str(item) for item in given] if isinstance(given, list) else []
    before = parse(run.config_path.read_text(encoding="utf-8"), run.config_path, overrides)
    return differences(before, config)
