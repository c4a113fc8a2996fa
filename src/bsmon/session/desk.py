"""Between the run and the advisor: gathers the evidence, keeps what was said, and turns advice into a command."""

from __future__ import annotations

import dataclasses

from bsmon.advisor.advisor import Advisor
from bsmon.advisor.scaling import learning_rate_factor, optimizer_family, resolve_rule
from bsmon.config.schema import Config
from bsmon.core.advice import Action, Advice, AdvisorView
from bsmon.core.commands import Command, LearningRateRule, SetBatchSize, SetLearningRate, SetMicroBatchSize, Source
from bsmon.session.evidence import gather, limits
from bsmon.session.record import RunRecord


class AdvisorDesk:
    """The advisor of one run. Called under the session's lock, except for `scale`."""

    def __init__(self, config: Config) -> None:
        self._is_on = config.advisor.mode != "off"
        self._family = optimizer_family(config.optimizer.name)
        self._advisor = Advisor()
        self._view = AdvisorView()

    def assess(self, record: RunRecord) -> AdvisorView:
        """Look at the run as it stands; call it once a window."""
        if record.batch_state is None or record.last_step is None or record.run_state.ended:
            return self._view
        evidence = gather(record, record.batch_state)
        if self._is_on:
            self._view = self._advisor.look(evidence, limits(record.batch_state))
        else:
            self._view = AdvisorView(noise_scale=evidence.noise_scale)
        return self._view

    def command(self) -> Command | None:
        """What applying the recommendation means; None where there is nothing that a key could apply."""
        advice = self._view.advice
        command = to_command(advice) if advice is not None else None
        if command is not None and advice is not None:
            self._advisor.scores.applied(advice)
        return command

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


def to_command(advice: Advice) -> Command | None:
    """The command that an advice stands for; None where it is for the person alone to do."""
    match advice.action:
        case Action.BATCH:
            return SetBatchSize(
                advice.new_batch_size,
                LearningRateRule(advice.learning_rate_rule),
                learning_rate=advice.new_learning_rate,
                source=Source.ADVICE,
            )
        case Action.LEARNING_RATE:
            return SetLearningRate(advice.new_learning_rate, source=Source.ADVICE)
        case Action.MICRO_BATCH:
            return SetMicroBatchSize(advice.new_micro_batch_size, source=Source.ADVICE)
        case _:
            return None
