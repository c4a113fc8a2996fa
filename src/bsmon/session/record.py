"""All that is known of a run, folded from what happened; frozen into a Snapshot when a front end asks."""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from bsmon.core.advice import AdvisorView
from bsmon.core.commands import Source
from bsmon.core.gradients import LayerTable, Measurement, NoiseSample, ProbedWeight
from bsmon.core.happenings import Accounted, Moment
from bsmon.core.records import (
    ClassMix,
    Evaluation,
    Event,
    EventKind,
    GradientStats,
    HardwareSample,
    Level,
    ProbedSpeed,
    Step,
)
from bsmon.core.snapshot import BatchState, Failure, Mark, MemoryForecast, Progress, RunInfo, RunState, Snapshot
from bsmon.core.step_columns import Steps, in_columns
from bsmon.session.accounts import data_wait_share, joined
from bsmon.session.charts import ChartSeries
from bsmon.session.findings import Findings
from bsmon.session.instruments import Instruments
from bsmon.session.pace import Pace
from bsmon.session.remaining import Evaluations, seconds_left, total_samples

_EVENTS_KEPT = 500


class RunRecord:
    """The state of a run. One thread changes it; the caller guards it while it freezes.

    `now` is asked when something happens, and for the time that has passed.
    """

    def __init__(self, info: RunInfo, now: Callable[[], Moment]) -> None:
        self.info = info
        self._now = now
        self.run_state = RunState.STARTING
        self.charts = ChartSeries()
        self.pace = Pace()
        self.findings = Findings()
        self.instruments: Instruments | None = None
        self.advisor = AdvisorView()
        self.batch_state: BatchState | None = None
        self.failure: Failure | None = None
        self.last_step: Step | None = None
        self._rewound_to: int | None = None  # where training has gone back to, until the next step
        self.last_gradients: GradientStats | None = None
        self.last_evaluation: Evaluation | None = None
        self.last_hardware: HardwareSample | None = None
        self._weight: ProbedWeight | None = None
        self._layers: LayerTable | None = None
        self.account = Accounted()
        self._waiting_for = ""
        self._learning_rate = 0.0  # the newest; a schedule's has moved on since the plan was made
        self._marks: list[Mark] = []
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self._event_number = 0
        self.reverts = 0  # batch changes taken back, by the engine or by undo
        self._version = 0
        self._pending: int | None = None
        self.forecasts: tuple[MemoryForecast, ...] = ()
        self.fences: tuple[int, ...] = ()
        self.measured_peak: int | None = None
        self._epoch_began_at = 0  # samples seen before the present epoch
        self._evaluations = Evaluations()
        self._ended: float | None = None

    # --- what happens; one method an Observer method

    def steps(self, records: Sequence[Step]) -> None:
        """Updates were made."""
        made = Steps(in_columns(records))
        self._note_epoch(made)
        self.last_step, self._rewound_to = made[-1], None
        self._learning_rate = self.last_step.learning_rate
        self.findings.steps(records)
        self.pace.add(made)
        self.charts.steps(made, self.pace.samples_per_second)
        self._version += 1

    def measured(self, measurement: Measurement) -> None:
        """Something about the gradients of a measured step."""
        match measurement:
            case GradientStats():
                self.last_gradients = measurement
                self.charts.gradients(measurement)
                self.findings.gradients(measurement)
            case NoiseSample():
                self.findings.noise_sample(measurement)
            case ProbedWeight():
                self._weight = measurement
                self.charts.weight(measurement)
            case ClassMix():
                self.findings.class_mix(measurement)
            case ProbedSpeed():
                self.findings.step_times.probed(measurement)
            case LayerTable():
                self._layers = measurement
        self._version += 1

    def evaluation(self, result: Evaluation) -> None:
        """The validation set was run."""
        self.last_evaluation = result
        seen = self.last_step.samples if self.last_step is not None else 0
        self._evaluations = self._evaluations.and_one(result.duration_s, seen)
        self.findings.evaluation(result)
        self.charts.evaluation(result)
        accuracy = "" if result.accuracy is None else f", accuracy {100 * result.accuracy:.1f} %"
        text = f"validation loss {result.loss:.4g}{accuracy}"
        self.event(EventKind.EVALUATION, Level.INFO, text, result.step, {"loss": result.loss})

    def hardware(self, sample: HardwareSample) -> None:
        """The sampler read the machine."""
        self.last_hardware = sample
        self.charts.hardware(sample)
        self._version += 1

    def state(self, state: RunState, waiting_for: str) -> None:
        """The run changed its state."""
        self.run_state, self._waiting_for = state, waiting_for
        self._ended = None
        if state is RunState.STARTING:
            self.failure = None  # of the part before a resume
        if state.ended:
            self._ended = self._now().time_s
            self.event(EventKind.RUN, Level.GOOD, f"run {state.value}", self.step, {})
        self._version += 1

    def run_info(self, info: RunInfo) -> None:
        """The task was built."""
        self.info = dataclasses.replace(info, run_dir=self.info.run_dir)
        self.findings.loss_is_scaled = info.precision == "fp16"
        samples = info.train_samples or 0
        text = f"{info.task}: {samples:,} training samples, {info.model} with {info.parameters or 0:,} parameters"
        self.event(EventKind.RUN, Level.INFO, text, 0, {})

    def batch(self, state: BatchState) -> None:
        """The plan in force."""
        old, self.batch_state, self._pending = self.batch_state, state, None
        self._learning_rate = state.learning_rate
        self.findings.batch_size(state.batch_size)
        if old is not None and old.batch_size != state.batch_size:
            self._marks.append(Mark(self.step, old.batch_size, state.batch_size))
            self.pace.restart()
        self._version += 1

    def fit(self, instruments: Instruments) -> None:
        """What looks at the training is there."""
        self.instruments = instruments
        self._version += 1

    def event(
        self, kind: EventKind, level: Level, text: str, step: int, data: Mapping[str, float | int | str | None]
    ) -> None:
        """Something rare happened."""
        if kind is EventKind.REFUSED:
            self._pending = None
        if kind is EventKind.BATCH and data.get("source") == Source.ENGINE:
            self.reverts += 1
        self._event_number += 1
        now = self._now()
        self._events.append(Event(self._event_number, kind, level, text, step, now.time_s, now.clock, data))
        self._version += 1

    def memory(self, forecasts: tuple[MemoryForecast, ...], fences: tuple[int, ...], measured_peak: int | None) -> None:
        """What is expected of other micro batch sizes, and what the present one really took."""
        self.forecasts, self.fences, self.measured_peak = forecasts, fences, measured_peak
        self._version += 1

    def rewound(self, step: int) -> None:
        """Training has gone back; so do the charts, the marks and the counts."""
        self._rewound_to = step
        self.charts.rewind(step)
        self.findings.loss_health.restart()
        self._marks = [mark for mark in self._marks if mark.step <= step]
        self.pace.restart()
        self._version += 1

    def failed(self, failure: Failure) -> None:
        """The run ended with an error."""
        self.failure = failure
        self.run_state, self._ended = RunState.FAILED, self._now().time_s
        self.event(EventKind.FAILED, Level.ERROR, failure.message, self.step, {})

    def advised(self, view: AdvisorView) -> None:
        """The advisor looked at the run."""
        if view != self.advisor:
            self.advisor = view
            self.charts.noise_scale(self.step, view.noise_scale.value)
            self._version += 1

    def accounted(self, account: Accounted) -> None:
        """Time has passed: where it went, and what was measured at batch sizes."""
        self.account = joined(self.account, account)
        self._version += 1

    # --- what the session itself notes

    def requested(self, batch_size: int) -> None:
        """Somebody asked for this batch size; the engine has not answered yet."""
        self._pending = batch_size
        self._version += 1

    def requested_factor(self, factor: float) -> None:
        """Somebody asked for the batch size times this."""
        if self.batch_state is not None:
            self.requested(int((self._pending or self.batch_state.batch_size) * factor))

    def copy(self) -> RunRecord:
        """Another record of the same content, for a replay; the findings are shared, because nobody asks for them."""
        other = copy.copy(self)
        other.charts, other.pace = self.charts.copy(), self.pace.copy()
        other._marks, other._events = self._marks.copy(), self._events.copy()
        return other

    # --- what a front end sees

    def freeze(self) -> Snapshot:
        """The state as one immutable object."""
        batch = self.batch_state
        if batch is not None:
            batch = dataclasses.replace(batch, pending=self._pending, learning_rate=self._learning_rate)
        return Snapshot(
            version=self._version,
            run=self.info,
            state=self.run_state,
            waiting_for=self._waiting_for,
            progress=self._progress(),
            batch=batch,
            series=self.charts.freeze(),
            gradients=self.last_gradients,
            probed_weight=self._weight,
            layers=self._layers,
            evaluation=self.last_evaluation,
            hardware=self.last_hardware,
            advisor=self.advisor,
            forecasts=self.forecasts,
            fences=self.fences,
            measured_peak_bytes=self.measured_peak,
            sizes=self.account.sizes,
            marks=tuple(self._marks),
            events=tuple(self._events),
            failure=self.failure,
        )

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    @property
    def events_so_far(self) -> int:
        """How many there were, those no longer kept included."""
        return self._event_number

    @property
    def step(self) -> int:
        """Updates made so far, as far as reported."""
        reached = self.last_step.step if self.last_step is not None else 0
        return reached if self._rewound_to is None else self._rewound_to

    def _progress(self) -> Progress:
        step, speed = self.last_step, self.pace.samples_per_second
        elapsed = self._now().time_s if self._ended is None else self._ended
        total = total_samples(self.info, step, self.batch_state, self._epoch_began_at)
        if step is None:
            return Progress(elapsed_s=elapsed, total_samples=total)
        left_s = None
        if speed and total is not None and not self.run_state.ended:
            left_s = seconds_left(max(0, total - step.samples), speed, self._evaluations)
        return Progress(
            epoch=step.epoch,
            step=step.step,
            samples=step.samples,
            total_samples=total,
            epoch_samples=step.samples - self._epoch_began_at,
            elapsed_s=elapsed,
            eta_s=left_s,
            samples_per_second=speed,
            step_s=self.pace.step_s,
            data_wait_share=data_wait_share(self.account, self.pace),
            time_shares=self.account.time_shares,
            probes_cost_share=self.account.probes_cost_share,
        )

    def _note_epoch(self, made: Steps) -> None:
        epoch = made.columns.epoch[-1]
        if self.last_step is None or self.last_step.epoch != epoch:
            first = made[made.columns.epoch.index(epoch)]
            self._epoch_began_at = first.samples - first.batch_size
