"""Asks for a learning rate, and says beside it what is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType

from bsmon.core.commands import LearningRateRule, SetLearningRate
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Session
from bsmon.core.snapshot import BatchState, Mark, Series, Snapshot
from bsmon.ui import numbers
from bsmon.ui.dial_rows import RULE_NAMES
from bsmon.ui.preview import learning_rate_factors
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import paragraph, shorten
from bsmon.ui.screens.dialog import Dialog, keys_row

_LABEL = 18
_LONGEST = 12
_SCHEDULE = (
    "Takes effect at the next step. A schedule goes on from this value with its shape as it is, and the batch size "
    "stays. The advisor leaves what is set by hand alone until you press r."
)
_KEYS = (("enter", "apply"), ("↑", "twice"), ("↓", "half"), ("esc", "cancel"))


class LearningRateScreen(Dialog[SetLearningRate | None]):
    """A number is typed, up and down double and halve, enter applies."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False),
        Binding("enter", "apply", show=False),
        Binding("backspace", "erase", show=False),
        Binding("up", "scale(2.0)", show=False),
        Binding("down", "scale(0.5)", show=False),
    ]

    def __init__(self, session: Session, styles: Mapping[str, Style]) -> None:
        super().__init__(styles, "Learning rate")
        self._session = session
        self._text = ""

    def on_key(self, event: events.Key) -> None:
        """A printable character goes into the field."""
        if event.character is not None and event.is_printable:
            event.stop()
            self._type(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """So does pasted text."""
        self._type("".join(character for character in event.text if character.isprintable()))

    def _type(self, text: str) -> None:
        self._text = (self._text + text)[:_LONGEST]
        self.redraw()

    def action_erase(self) -> None:
        """The last character."""
        self._text = self._text[:-1]
        self.redraw()

    def action_scale(self, factor: float) -> None:
        """Double or halve what stands there, or else the present rate."""
        batch = self._session.snapshot().batch
        try:
            rate = parse_learning_rate(self._text)
        except NotApplicable:
            if self._text or batch is None:
                return
            rate = batch.learning_rate
        self._text = numbers.learning_rate(rate * factor)
        self.redraw()

    def action_cancel(self) -> None:
        """Nothing changes."""
        self.dismiss(None)

    def action_apply(self) -> None:
        """Ask for the value; what cannot be says so already."""
        try:
            self.dismiss(SetLearningRate(parse_learning_rate(self._text)))
        except NotApplicable:
            return

    def content(self, width: int) -> list[Row]:
        """The field, what is known, what it means."""
        snapshot = self._session.snapshot()
        batch = snapshot.batch
        if batch is None:
            return [(("The run has no learning rate yet.", Role.DIM),)]
        field: Row = ((self._text, Role.STRONG), ("▏", Role.ACCENT))
        rows: list[Row] = [
            (*_label("learning rate"), *field),
            (*_label(""), *_remark(self._text, batch, width - _LABEL)),
            (*_label("now"), (_now(batch, snapshot.series.get("learning_rate")), Role.INK)),
            (*_label(_change(snapshot)), (shorten(_by_rules(snapshot), width - _LABEL), Role.INK)),
            (*_label("advice"), (_advised(snapshot), Role.INK)),
        ]
        return [*rows, BLANK, *paragraph(_SCHEDULE, width, Role.DIM), BLANK, keys_row(_KEYS)]


def parse_learning_rate(text: str) -> float:
    """The learning rate that was typed. Raises NotApplicable with a sentence saying why it cannot be."""
    if not text.strip():
        raise NotApplicable("Type a number, such as 3e-4.")
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        raise NotApplicable("A learning rate is a number, such as 0.001 or 3e-4.") from None
    if not math.isfinite(value) or value <= 0:
        raise NotApplicable("A learning rate is above 0, and finite.")
    return value


def _label(text: str) -> Row:
    return ((text.ljust(_LABEL), Role.DIM),)


def _remark(text: str, batch: BatchState, width: int) -> Row:
    """Why it cannot be, or how it compares with the present rate."""
    try:
        rate = parse_learning_rate(text)
    except NotApplicable as reason:
        return ((shorten(str(reason), width), Role.WARNING if text else Role.DIM),)
    if batch.learning_rate <= 0:
        return ()
    ratio = rate / batch.learning_rate
    role = Role.WARNING if not 0.1 <= ratio <= 10 else Role.DIM
    return ((f"{ratio:.3g}x the present one", role),)


def _now(batch: BatchState, series: Series | None) -> str:
    found = [value for value in series.mean if value is not None] if series is not None else []
    text = numbers.learning_rate(batch.learning_rate)
    if "learning_rate" in batch.by_hand:
        text += ", set by hand"
    if found and max(found) > min(found) * 1.001:
        text += f"; so far {numbers.learning_rate(min(found))} to {numbers.learning_rate(max(found))}"
    return text


def _change(snapshot: Snapshot) -> str:
    if not snapshot.marks:
        return "by the rules"
    mark = snapshot.marks[-1]
    return f"rules, {numbers.compact(mark.old_batch_size)} → {numbers.compact(mark.new_batch_size)}"


def _by_rules(snapshot: Snapshot) -> str:
    """What each rule had made of the rate before the last batch change."""
    if not snapshot.marks:
        return "no batch change yet"
    mark = snapshot.marks[-1]
    before = _rate_before(mark, snapshot.series.get("learning_rate"))
    if before is None:
        return numbers.UNKNOWN
    factors = learning_rate_factors(mark.old_batch_size, mark.new_batch_size, snapshot)
    rates = [
        f"{RULE_NAMES[rule]} {numbers.learning_rate(before * factor)}"
        for rule, factor in factors.items()
        if factor is not None and rule is not LearningRateRule.AUTO
    ]
    return ", ".join(rates)


def _rate_before(mark: Mark, series: Series | None) -> float | None:
    """The rate just before a change, as far back as the bins tell them apart."""
    if series is None:
        return None
    last = min(int(mark.step / series.width), len(series.mean))
    return next((value for value in reversed(series.mean[:last]) if value is not None), None)


def _advised(snapshot: Snapshot) -> str:
    advice = snapshot.advisor.advice
    if advice is None or advice.new_learning_rate == advice.learning_rate:
        return "none about the learning rate"
    with_batch = f" with a batch of {advice.new_batch_size:,}" if advice.new_batch_size != advice.batch_size else ""
    return f"{numbers.learning_rate(advice.new_learning_rate)}{with_batch}"
