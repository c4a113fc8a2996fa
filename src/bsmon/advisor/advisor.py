"""The advisor over time: advice must hold, may be dismissed, and is scored. The tree itself knows no time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.score import Scorebook
from bsmon.advisor.tree import assess, keep
from bsmon.core.advice import Action, Advice, AdvisorView

WINDOWS = 3
# These verdicts are tests over many steps already, and cannot wait.
AT_ONCE = frozenset({"stability"})
SETTLING_STEPS = 200  # after an applied change: the verdicts still rest on steps before it
DISMISSED_STEPS = 500  # at the least; a dismissal lasts until the run is twice as long

Key = tuple[str, Action, int]


@dataclass(frozen=True, slots=True)
class _Dismissal:
    key: Key
    until_step: int


class Advisor:
    """Call `look` once a window (an equal stretch of steps or seconds); it returns what a front end shows."""

    def __init__(self) -> None:
        self.scores = Scorebook()
        self._candidate: Key | None = None
        self._windows = 0
        self._dismissal: _Dismissal | None = None
        self._shown: Advice | None = None
        self._quiet_until = 0

    def look(self, evidence: Evidence, limits: Limits) -> AdvisorView:
        """The view for this window: advice that has held for three of them, or to keep the present size."""
        evidence = replace(evidence, corrections=self.scores.corrections)
        view = assess(evidence, limits)
        advice = view.advice
        until = ""
        if advice is not None and evidence.step < self._quiet_until:
            advice = keep(evidence, list(view.tree))
        if advice is not None and advice.action is not Action.KEEP:
            until = self._dismissed(key(advice), evidence.step)
            if until or not self._holds(key(advice)):
                advice = keep(evidence, list(view.tree))
        else:
            self._candidate = None
        self._shown = advice
        return replace(view, advice=advice, score=self.scores.score, dismissed_until=until)

    def applied(self, advice: Advice, step: int) -> None:
        """The recommendation was followed at this step: its prediction is scored, and nothing is said for a while.

        Otherwise one bad stretch would lower the learning rate again at every window. Where the advice mends the
        loss (node "stability" or "barely_moving"), call `LossHealth.restart`, too.
        """
        self.scores.applied(advice)
        self._quiet_until = step + SETTLING_STEPS
        self._candidate = None

    def dismiss(self, step: int) -> str:
        """Put the shown recommendation aside; the sentence says until when, and is empty where there is none."""
        if self._shown is None or self._shown.action is Action.KEEP:
            return ""
        self._dismissal = _Dismissal(key(self._shown), max(2 * step, step + DISMISSED_STEPS))
        return self._dismissed(self._dismissal.key, step)

    def _holds(self, found: Key) -> bool:
        self._windows = self._windows + 1 if found == self._candidate else 1
        self._candidate = found
        return self._windows >= WINDOWS or found[0] in AT_ONCE

    def _dismissed(self, found: Key, step: int) -> str:
        put_aside = self._dismissal
        if put_aside is None or put_aside.key != found:
            return ""
        if step >= put_aside.until_step:
            self._dismissal = None
            return ""
        return f"until step {put_aside.until_step:,}, or until the advice changes"


def key(advice: Advice) -> Key:
    """What makes two recommendations the same: their node, action and direction, not the very size."""
    larger = (advice.new_batch_size > advice.batch_size) - (advice.new_batch_size < advice.batch_size)
    return advice.node, advice.action, larger
