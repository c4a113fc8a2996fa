"""Everything that `bsmon train` needs before the first frame: the config and the run's folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bsmon.cli.train import NEWEST
from bsmon.config.compare import differences
from bsmon.config.load import load, parse
from bsmon.config.schema import Config
from bsmon.core.commands import Scripted
from bsmon.core.errors import BadInput
from bsmon.core.text import clean
from bsmon.store.provenance import about_this_process
from bsmon.store.run_dir import RunDir, clean_name
from bsmon.store.runs import RUNS, Standing, find_run, standing
from bsmon.store.script import read_script
from bsmon.ui.themes import choose_theme


@dataclass(frozen=True, slots=True)
class Start:
    """A run about to begin. `changed`: settings that differ from the run that is resumed."""

    config: Config
    run_dir: RunDir
    resume: bool
    changed: dict[str, tuple[str, str]]
    script: tuple[Scripted, ...] = ()  # interventions of another run, to be made again


def prepare(
    path: Path, overrides: Sequence[str], resume: str | None, exact: Path | None, replay: str | None = None
) -> Start:
    """Read the config and make the run's folder, or find the one to resume. Raises BadInput."""
    config = load(path, overrides)
    if replay is not None and config.advisor.mode == "auto":
        # What the advisor did by itself is among the interventions; it must not do more.
        overrides = [*overrides, 'advisor.mode="advise"']
        config = load(path, overrides)
    choose_theme(config.ui.theme, os.environ)  # before anything is made: a theme that is not there is bad input
    about = {**about_this_process(), "overrides": list(overrides)}
    if resume is None:
        script = read_script(find_run(replay).journal_path) if replay is not None else ()
        text = path.read_bytes()
        run = RunDir.create(RUNS, config.run.name, datetime.now().astimezone(), config=text, about=about, exact=exact)
        return Start(config, run, resume=False, changed={}, script=script)
    if exact is not None:
        raise BadInput("--resume goes on in the run's own folder; leave out --run-dir")
    if replay is not None:
        raise BadInput("--replay changes a fresh run; leave out --resume")
    run = RunDir.open(newest_run(config.run.name)) if resume == NEWEST else find_run(resume)
    return Start(config, run, resume=True, changed=_take_over(run, config))


def _take_over(run: RunDir, config: Config) -> dict[str, tuple[str, str]]:
    """Make this process the one that trains the run; what the config says differently since it began."""
    changed = _changes(run, config)
    with run.held():  # of two that resume the same run at once, one finds that the other trains it
        if standing(run) is Standing.LIVE:
            raise BadInput(f"{clean(run.path.name)} is still training; bsmon stop ends it, bsmon attach shows it")
        with contextlib.suppress(OSError):  # a full disk is no reason not to train; the run is then listed as lost
            run.update(**about_this_process(), status="starting")
    return changed


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
    before = parse(run.config_text(), run.config_path, overrides)
    return differences(before, config)
