"""A whole run on the calling thread: build, train, report the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bsmon.config.schema import Config
from bsmon.core.commands import Scripted
from bsmon.core.errors import BadInput, RunCannotGoOnError
from bsmon.core.ports import LearningRateScaling, Mailbox, Observer
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import Failure, RunState
from bsmon.engine.assemble import assemble
from bsmon.engine.build import Parts, build
from bsmon.engine.own_code import traceback_from_own_code
from bsmon.engine.ranks.start import other_ranks
from bsmon.engine.resume import Changes
from bsmon.engine.watch import Timer, Watch


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run needs of whoever started it."""

    observer: Observer
    mailbox: Mailbox
    scale: LearningRateScaling
    make_watch: Callable[[Parts], tuple[Watch, Timer]]  # whatever looks at the updates, once the parts are built
    checkpoints: Path  # a folder that is there
    elapsed: Callable[[], float] = lambda: 0.0  # seconds since the run began, its start and earlier parts included
    resume: bool = False  # go on from the newest checkpoint there
    changes: Changes = field(default_factory=dict)  # of the config, since the run that is resumed
    script: Sequence[Scripted] = ()  # interventions of another run, to be made again


def run(config: Config, around: Surroundings) -> None:
    """Train as `config` says; whatever happens is told to the observer, and nothing is raised."""
    observer = around.observer
    with _failures_told(observer):
        parts = build(config, lambda what: observer.state(RunState.STARTING, what))
        _check_sizes(parts)
        observer.run_info(parts.info)
        for file in parts.data.files:
            observer.event(EventKind.DATA, Level.INFO, f"using {file}", 0)
        with other_ranks(parts) as team:
            trainer = assemble(parts, *around.make_watch(parts), around, team)
            if team is not None:
                observer.state(RunState.STARTING, "starting the other ranks")
                team.meet()
            state = trainer.run()
        observer.state(state)


@contextmanager
def _failures_told(observer: Observer) -> Iterator[None]:
    """The thread's last line of defence: whatever ends the run, the person is told, with their traceback."""
    try:
        yield
    except BadInput as error:
        observer.failed(Failure(str(error), "", bad_input=True))
    except RunCannotGoOnError as error:
        observer.failed(Failure(str(error), ""))
    except BaseException as error:  # noqa: BLE001  see above
        observer.failed(Failure(_in_a_line(error), traceback_from_own_code(error)))


def _in_a_line(error: BaseException) -> str:
    """Kind and first line of an error; of one from a DataLoader's worker, whose traceback is its text, the real one."""
    kind, lines = type(error).__name__, str(error).splitlines()
    if not lines:
        return kind
    real = [line for line in lines if line.startswith(f"{kind}: ")] if "DataLoader worker" in lines[0] else []
    return real[-1] if real else f"{kind}: {lines[0]}"


def _check_sizes(parts: Parts) -> None:
    """Raise BadInput where batch size and data do not go together, before the first step."""
    batch, samples = parts.config.batch, parts.info.train_samples or 0
    if batch.size > samples:
        raise BadInput(
            f"{parts.config.path}: batch.size = {batch.size}: more than the {samples:,} training samples; "
            f"use at most {samples}"
        )
