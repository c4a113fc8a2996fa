"""Between the run and the advisor: gathers the evidence, keeps what was said, and turns advice into a command."""

from __future__ import annotations

import dataclasses

from bsmon.advisor.advisor import Advisor
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family, resolve_rule
from bsmon.config.schema import Config
from bsmon.core.advice import Action, Advice, AdvisorView
from bsmon.core.commands import Command, LearningRateRule, SetBatchSize, SetLearningRate, SetMicroBatchSize, Source
from bsmon.session.checklist import checklist
from bsmon.session.evidence import gather, limits
from bsmon.session.loss_slope import LossSlope, relative_progress
from bsmon.session.record import RunRecord

# A change has settled, and can be held against its prediction, after the engine's probation of 50 steps.
_SETTLED_STEPS = 60
_ABOUT_LOSS = frozenset({"stability", "barely_moving"})


class AdvisorDesk:
    """The advisor of one run. Called under the session's lock, except for `scale`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._mode = config.advisor.mode
        self._family = optimizer_family(config.optimizer.name)
        self._advisor = Advisor()
        self._view = AdvisorView()
        self._applied_at = 0
        self._slope = LossSlope()
        self._slope_before: float | None = None
        self._reverts = 0

    def assess(self, record: RunRecord) -> AdvisorView:
        """Look at the run as it stands; call it once a window. Of one that has ended only what was measured is new."""
        if record.batch_state is None or record.last_step is None:
            return self._view
        self._slope.add(record.last_step.time_s, record.charts.smoothed_loss)
        evidence = gather(record, record.batch_state)
        # A run shorter than a window is looked at once, when it is over; any other keeps what was said last.
        if record.run_state.ended and self._view.tree:
            self._view = dataclasses.replace(self._view, noise_scale=evidence.noise_scale)
        elif self._mode == "off":
            self._view = AdvisorView(noise_scale=evidence.noise_scale)
        else:
            self._score(record)
            view = self._advisor.look(evidence, limits(record.batch_state))
            boxes = checklist(self._config, evidence, view.tree, record.findings.sizes_run)
            self._view = dataclasses.replace(view, checklist=boxes)
        return self._view

    def move(self, record: RunRecord) -> Command | None:
        """In mode auto: what the advisor does by itself now. It leaves alone what was set by hand."""
        advice, batch = self._view.advice, record.batch_state
        if self._mode != "auto" or advice is None or batch is None or self._advisor.scores.waiting:
            return None
        touched = {Action.BATCH: {"batch_size"}, Action.LEARNING_RATE: {"learning_rate"}}.get(advice.action, set())
        if not touched or touched & batch.by_hand or batch.pending is not None:
            return None
        return self._apply(record, Source.ADVISOR)

    def command(self, record: RunRecord) -> Command | None:
        """What applying the recommendation means; None where there is nothing that a key could apply."""
        return self._apply(record, Source.ADVICE)

    def dismiss(self, record: RunRecord) -> AdvisorView:
        """Not now."""
        until = self._advisor.dismiss(record.step)
        self._view = dataclasses.replace(self._view, dismissed_until=until)
        return self._view

    def scale(self, rule: LearningRateRule, old: int, new: int) -> tuple[float, LearningRateRule]:
        """The factor on the learning rate for a batch change, and the rule that AUTO stood for.

        Called by the training thread: it reads one immutable view.
        """
        noise = self._view.noise_scale.value
        resolved = resolve_rule(rule, optimizer_family=self._family, noise_scale=noise)
        factor = learning_rate_factor(resolved, old, new, optimizer_family=self._family, noise_scale=noise)
        return factor, resolved

    def _apply(self, record: RunRecord, source: Source) -> Command | None:
        advice = self._view.advice
        command = to_command(advice, source) if advice is not None else None
        if command is None or advice is None:
            return None
        self._advisor.applied(advice, record.step)
        self._applied_at, self._reverts = record.step, record.reverts
        self._slope_before = self._slope.slope()
        self._slope.restart()
        if advice.node in _ABOUT_LOSS:
            # What was seen before says nothing of the run after; it would go on being called unstable.
            record.findings.loss_health.restart()
        return command

    def _score(self, record: RunRecord) -> None:
        """Hold the last applied advice against what came of it, once it has settled."""
        if not self._advisor.scores.waiting:
            return
        if record.reverts > self._reverts:
            self._advisor.scores.reverted()
        elif record.step >= self._applied_at + _SETTLED_STEPS and self._slope.slope() is not None:
            self._advisor.scores.measured(
                peak_bytes=record.measured_peak,
                samples_per_second=record.pace.samples_per_second,
                relative_progress=relative_progress(self._slope_before, self._slope.slope()),
            )


def to_command(advice: Advice, source: Source) -> Command | None:
    """The command that an advice stands for; None where it is for the person alone to do."""
    match advice.action:
        case Action.BATCH:
            return SetBatchSize(
                advice.new_batch_size,
                LearningRateRule(advice.learning_rate_rule),
                learning_rate=advice.new_learning_rate,
                source=source,
            )
        case Action.LEARNING_RATE:
            return SetLearningRate(advice.new_learning_rate, source=source)
        case Action.MICRO_BATCH:
            return SetMicroBatchSize(advice.new_micro_batch_size, source=source)
        case _:
            return None
