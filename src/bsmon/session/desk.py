"""Between the run and the advisor: gathers the evidence, keeps what was said, and turns advice into a command."""

from __future__ import annotations

from bsmon.config.schema import Config
from bsmon.core.advice import AdvisorView
from bsmon.core.commands import Command, LearningRateRule
from bsmon.session.record import RunRecord


class AdvisorDesk:
    """The advisor of one run."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._view = AdvisorView()

    def assess(self, record: RunRecord) -> AdvisorView:
        """Look at the run as it stands."""
        return self._view

    def command(self) -> Command | None:
        """What applying the recommendation means; None where there is nothing to apply."""
        return None

    def dismiss(self, record: RunRecord) -> AdvisorView:
        """Not now."""
        return self._view

    def scale(self, rule: LearningRateRule, old: int, new: int) -> tuple[float, LearningRateRule]:
        """The factor on the learning rate for a batch change."""
        return 1.0, rule
