"""Events about the health of loss and gradients: each is told when it begins, and then not while it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bsmon.advisor.health import Health
from bsmon.core.happenings import Noted
from bsmon.core.records import EventKind, Level
from bsmon.session.record import RunRecord

_OVER_AFTER_S = 15.0
"""What has not been seen for so long is over, and is told when it comes again; a verdict may waver for a while."""

_SPIKES_EVERY_S = 10.0
"""A loss near 0 has many spikes. Of those within this time only the largest is told, with how many there were."""


class _Sign(NamedTuple):
    """Something that is wrong now, and the number that shows it."""

    name: str
    level: Level
    text: str
    data: Mapping[str, float | int | str | None]


class HealthWatch:
    """Looks at what was found so far, about once a second, and says what is new about it."""

    def __init__(self) -> None:
        self._seen_at: dict[str, float] = {}
        self._nonfinite_updates = 0
        self._spikes_told_at = -_SPIKES_EVERY_S

    def look(self, record: RunRecord, time_s: float) -> list[Noted]:
        """The events that are due now; `time_s` is the run's, and only grows."""
        new = []
        for sign in (*self._gradients(record), *_signs(record.findings.loss_health.health())):
            seen_at = self._seen_at.get(sign.name)
            if seen_at is None or time_s - seen_at > _OVER_AFTER_S:
                new.append(sign)
            self._seen_at[sign.name] = time_s
        if time_s - self._spikes_told_at >= _SPIKES_EVERY_S:
            new += self._spikes(record, time_s)
        return [Noted(EventKind.HEALTH, sign.level, sign.text, record.step, sign.data) for sign in new]

    def _gradients(self, record: RunRecord) -> Iterator[_Sign]:
        """Non-finite gradients since the last look."""
        updates, before = record.findings.nonfinite_updates, self._nonfinite_updates
        self._nonfinite_updates = updates
        stats = record.findings.last_nonfinite
        if updates == before or stats is None:
            return
        count = stats.nonfinite or 0
        text = f"the gradient of step {stats.step:,} has {count:,} NaN or infinite elements"
        level = Level.WARNING
        if record.findings.loss_is_scaled:
            text, level = f"{text}: the update was skipped, the loss scale goes down", Level.INFO
        yield _Sign("nonfinite", level, text, {"nonfinite": count, "measured_step": stats.step, "updates": updates})

    def _spikes(self, record: RunRecord, time_s: float) -> Iterator[_Sign]:
        spikes = record.findings.take_spikes()
        if not spikes:
            return
        self._spikes_told_at = time_s
        step, spike = max(spikes, key=lambda found: found[1].loss / found[1].usual if found[1].usual else 0.0)
        times = f", {spike.loss / spike.usual:.1f} times the usual {spike.usual:.4g}" if spike.usual > 0 else ""
        before = f"{len(spikes)} loss spikes, the largest" if len(spikes) > 1 else "loss spike"
        text = f"{before} at step {step:,}: {spike.loss:.4g}{times}"
        data = {"spike_step": step, "loss": spike.loss, "usual": spike.usual, "spikes": len(spikes)}
        yield _Sign("spike", Level.WARNING, text, data)


def _signs(health: Health) -> Iterator[_Sign]:
    """The verdicts that hold. Of the ways to be unstable only the worst: they come together."""
    if health.blown_up:
        text = f"the loss blew up: {health.times_start or 0:.1f} times what it was at the start"
        yield _Sign("blown_up", Level.ERROR, text, {"times_start": health.times_start})
    elif health.lost_progress:
        yield _Sign("lost_progress", Level.WARNING, _lost(health), {"progress_lost": health.progress_lost})
    elif health.oscillating:
        text = f"the loss is unstable: {health.rises} of the last 10 blocks of steps rose by more than chance and 10 %"
        yield _Sign("oscillating", Level.WARNING, text, {"rises": health.rises})
    if health.barely_moving:
        text = f"the loss barely moves: {100 * (health.improvement or 0):.1f} % better than at the start, at the most"
        yield _Sign("barely_moving", Level.WARNING, text, {"improvement": health.improvement})
    if health.overfitting:
        rise = health.validation_rise
        by = "" if rise is None else f" by {100 * rise:.0f} %"
        text = f"overfitting: the validation loss is above its best{by} and rises, the training loss falls"
        yield _Sign("overfitting", Level.WARNING, text, {"validation_rise": rise})


def _lost(health: Health) -> str:
    lost = health.progress_lost
    if lost is None or lost >= 1:
        return "the loss lost all its progress: it is back at its start or above"
    return f"the loss lost progress: {100 * lost:.0f} % of what was gained is gone"
