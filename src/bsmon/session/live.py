"""A run in this process: the training thread, the hardware sampler, and the thread that folds what they report."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from bsmon.config.schema import Config
from bsmon.core.commands import ApplyAdvice, Command, DismissAdvice, ScaleBatchSize, SetBatchSize, Stop, WatchLayers
from bsmon.core.errors import BadInput
from bsmon.core.happenings import Accounted, Advised, Happening, Noted
from bsmon.core.records import EventKind, HardwareSample, Level
from bsmon.core.snapshot import Failure, RunInfo, RunState, Snapshot
from bsmon.session.accounts import account_of
from bsmon.session.apply import apply
from bsmon.session.desk import AdvisorDesk
from bsmon.session.health_watch import HealthWatch
from bsmon.session.inbox import Fitted, Inbox
from bsmon.session.journaling import JournalSink
from bsmon.session.mailbox import CommandMailbox
from bsmon.session.record import RunRecord
from bsmon.session.run_clock import RunClock

_FOLD_EVERY_S = 0.1
_ADVISE_EVERY_S = 1.0


class TrainingBody(Protocol):
    """A whole training on the calling thread; it tells the observer how it ended and raises nothing."""

    def __call__(self, config: Config, observer: Inbox, mailbox: CommandMailbox, desk: AdvisorDesk) -> None:
        """Run it."""
        ...


class Sampler(Protocol):
    """Reads the hardware on a thread of its own."""

    def start(self) -> None:
        """Begin."""

    def set_device(self, uuid: str | None, torch_device: str, others: Sequence[tuple[str | None, str]] = ()) -> None:
        """Which device the run trains on, and which its other ranks do."""

    def set_data_paths(self, paths: Sequence[str]) -> None:
        """Which files or folders it reads its data from."""

    def stop(self) -> None:
        """End soon; never waits for a driver."""


SamplerFactory = Callable[[Callable[[HardwareSample], None]], Sampler]


class LiveSession:
    """Implements `core.ports.Session` over a training in this process. Without a journal nothing is kept of it."""

    def __init__(
        self,
        config: Config,
        train: TrainingBody,
        make_sampler: SamplerFactory,
        run_dir: str = "",
        journal: JournalSink | None = None,
    ) -> None:
        self._config = config
        self._train = train
        self._make_sampler = make_sampler
        self._inbox = Inbox(lambda: self._clock().time_s)
        self._mailbox = CommandMailbox()
        self._journal = journal
        self._clock = RunClock()
        self._record = RunRecord(RunInfo(name=config.run.name, config_path=config.path, run_dir=run_dir), self._clock)
        self._desk = AdvisorDesk(config)
        self._health = HealthWatch()
        self._judging = True
        self._device_told = False
        self._probe_failure_told = False
        self._lock = threading.Lock()
        self._frozen = self._record.freeze()
        self.earlier_events = 0  # that a resumed run's earlier parts had; known once it is started
        self.ended = threading.Event()  # set when training has ended and the last snapshot is there
        # Daemons, so that a second Ctrl-C can always end the program; the normal way is to stop and to wait.
        self._trainer = threading.Thread(target=self._run_training, name="bsmon-training", daemon=True)
        self._folder = threading.Thread(target=self._run_folding, name="bsmon-session", daemon=True)

    def start(self) -> None:
        """Begin. Torch is imported on the training thread, so that the screen is there first."""
        self._begin_journal()
        self._inbox.state(RunState.STARTING, "importing torch")
        self._trainer.start()
        self._folder.start()

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._trainer.ident is not None

    def note(self, text: str, level: Level = Level.INFO) -> None:
        """Something about the run as a whole that the engine cannot know: the terminal has gone, say."""
        self._inbox.event(EventKind.RUN, level, text, self._record.step)

    def snapshot(self) -> Snapshot:
        """The newest snapshot; returns at once, from any thread."""
        with self._lock:
            if self._frozen.version != self._record.version:
                self._frozen = self._record.freeze()
            return self._frozen

    def submit(self, command: Command) -> None:
        """Ask for something; returns at once. An event says what came of it."""
        with self._lock:
            wanted = self._translate(command)
            if wanted is None:
                return
            self._note_request(wanted)
        self._mailbox.put(wanted)

    def _note_request(self, command: Command) -> None:
        if isinstance(command, SetBatchSize):
            self._record.requested(command.batch_size)
        elif isinstance(command, ScaleBatchSize):
            self._record.requested_factor(command.factor)

    def _translate(self, command: Command) -> Command | None:
        """What the training thread shall do; None where the session has answered by itself."""
        if isinstance(command, DismissAdvice):
            self._record.advised(self._desk.dismiss(self._record))
            return None
        if isinstance(command, WatchLayers):
            if self._record.instruments is not None:
                self._record.instruments.probes.wants_layers = command.wanted
            return None
        if isinstance(command, ApplyAdvice):
            advised = self._desk.command(self._record)
            if advised is None:
                text = "There is no recommendation to apply."
                self._inbox.event(EventKind.REFUSED, Level.WARNING, text, self._record.step)
            return advised
        return command

    def _run_training(self) -> None:
        try:
            self._train(self._config, self._inbox, self._mailbox, self._desk)
        except BaseException as error:  # noqa: BLE001  torch that cannot be imported, say: the person must be told
            self._inbox.failed(Failure(f"{type(error).__name__}: {error}", traceback.format_exc()))

    def _run_folding(self) -> None:
        sampler = self._make_sampler(self._on_sample)
        sampler.start()
        try:
            self._fold_until_ended(sampler)
        except Exception as error:  # noqa: BLE001  without this thread nobody would see the run, or its end
            self._end_unfolded(error)
        if self._journal is not None:
            self._journal.close(self._clock())
        self.ended.set()
        # Last, because a driver that hangs may take seconds to be let go of.
        sampler.stop()

    def _fold_until_ended(self, sampler: Sampler) -> None:
        advised_at = 0.0
        while self._trainer.is_alive():
            self._inbox.wait(_FOLD_EVERY_S)
            advise = time.monotonic() - advised_at >= _ADVISE_EVERY_S
            advised_at = time.monotonic() if advise else advised_at
            self._fold(advise=advise)
            self._tell_device(sampler)
            self._tell_probe_failure()
        self._fold(advise=True)

    def _end_unfolded(self, error: Exception) -> None:
        """What happens can no longer be shown: let training save and stop, then say why."""
        failure = Failure(f"the session failed: {type(error).__name__}: {error}", traceback.format_exc())
        self._mailbox.put(Stop(save=True))
        self._trainer.join()
        with self._lock:
            self._record.failed(failure)

    def _tell_probe_failure(self) -> None:
        instruments = self._record.instruments
        if instruments is not None and instruments.probes.failure and not self._probe_failure_told:
            self._probe_failure_told = True
            self._inbox.event(EventKind.HEALTH, Level.WARNING, instruments.probes.failure, self._record.step)

    def _tell_device(self, sampler: Sampler) -> None:
        instruments = self._record.instruments
        if instruments is not None and not self._device_told:
            self._device_told = True
            sampler.set_device(instruments.device_uuid, instruments.device, instruments.other_devices)
            sampler.set_data_paths(instruments.data_paths)

    def _begin_journal(self) -> None:
        if self._journal is None:
            return
        try:
            with self._lock:
                self._journal.begin(self._record, self._clock)
        except BadInput as error:  # of the part before a resume: no reason not to train
            self.note(f"nothing is written to the journal: {error}", Level.WARNING)
        self._health.look(self._record, self._clock().time_s)  # what the part before a resume has told already
        self.earlier_events = self._record.events_so_far

    def _on_sample(self, sample: HardwareSample) -> None:
        """The sampler counts from its own start; the run may have begun in an earlier process."""
        self._inbox.hardware(dataclasses.replace(sample, time_s=self._clock().time_s))

    def _fold(self, *, advise: bool) -> None:
        with self._lock:
            moment = self._clock.hold()
            try:
                happenings = self._inbox.drain()
                for happening in happenings:
                    apply(self._record, happening)
                if advise and self._judging:
                    happenings += self._judge(moment.time_s)
            finally:
                self._clock.release()
        # Outside the lock: a file server that hangs must not hold up the screen.
        news = self._journal.write(moment, happenings) if self._journal is not None else []
        for text in news:
            self.note(text, Level.WARNING)

    def _judge(self, time_s: float) -> list[Happening | Fitted]:
        """What is made of the measurements. An error in it ends the advice, and not the run."""
        try:
            return [self._account(), *self._look_at_health(time_s), *self._advise()]
        except Exception as error:  # noqa: BLE001  observers may not change training
            self._judging = False
            traceback.print_exc()
            text = f"the advisor failed and says no more in this run: {type(error).__name__}: {error}"
            self._inbox.event(EventKind.HEALTH, Level.ERROR, text, self._record.step)
            return []

    def _look_at_health(self, time_s: float) -> list[Noted]:
        noted = self._health.look(self._record, time_s)
        for news in noted:
            apply(self._record, news)
        return noted

    def _account(self) -> Accounted:
        account = account_of(self._record.findings, self._record.instruments)
        apply(self._record, account)
        return account

    def _advise(self) -> list[Happening | Fitted]:
        self._record.advised(self._desk.assess(self._record))
        move = self._desk.move(self._record)
        if move is not None:
            self._note_request(move)
            self._mailbox.put(move)
        return [Advised(self._record.advisor)]
