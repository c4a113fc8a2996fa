"""The batch dial: type a size and see, before it is applied, what it will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType

from bsmon.core.commands import LearningRateRule, SetBatchSize
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Session
from bsmon.ui import numbers
from bsmon.ui.preview import Preview, parse_batch_size, preview
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import shorten
from bsmon.ui.screens.dialog import Dialog

_RULES = tuple(LearningRateRule)
_RULE_NAMES = {
    LearningRateRule.AUTO: "auto",
    LearningRateRule.UNCHANGED: "unchanged",
    LearningRateRule.LINEAR: "linear",
    LearningRateRule.SQRT: "square root",
    LearningRateRule.GAIN: "gain",
}
_LABEL = 20
_LONGEST = 12


class BatchSizeScreen(Dialog[SetBatchSize | None]):
    """Digits are typed, up and down choose the learning rate's rule, enter applies."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False),
        Binding("enter", "apply", show=False),
        Binding("backspace", "erase", show=False),
        Binding("up", "rule(-1)", show=False),
        Binding("down,tab", "rule(1)", show=False),
    ]

    def __init__(self, session: Session, styles: Mapping[str, Style]) -> None:
        super().__init__(styles, "Batch size")
        self._session = session
        self._text = ""
        batch = session.snapshot().batch
        run_rule = batch.learning_rate_rule if batch is not None else "auto"
        self._rule = next((rule for rule in _RULES if rule.value == run_rule), LearningRateRule.AUTO)

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

    def action_rule(self, by: int) -> None:
        """The rule above or below."""
        self._rule = _RULES[(_RULES.index(self._rule) + by) % len(_RULES)]
        self.redraw()

    def action_cancel(self) -> None:
        """Nothing changes."""
        self.dismiss(None)

    def action_apply(self) -> None:
        """Ask for the size; what cannot be says so already."""
        snapshot = self._session.snapshot()
        try:
            size = parse_batch_size(self._text, snapshot)
        except NotApplicable:
            return
        batch = snapshot.batch
        if batch is not None and preview(size, batch, snapshot).learning_rates[self._rule] is not None:
            self.dismiss(SetBatchSize(size, self._rule))

    def content(self, width: int) -> list[Row]:
        """The field, then the consequences; always the same number of rows, so that the frame stands still."""
        snapshot = self._session.snapshot()
        batch = snapshot.batch
        if batch is None:
            return [(("The run has no batch size yet.", Role.DIM),)]
        refusal, shown = "", None
        try:
            shown = preview(parse_batch_size(self._text, snapshot), batch, snapshot)
        except NotApplicable as reason:
            refusal = str(reason)
        limit = min(batch.maximum or 10**12, snapshot.run.train_samples or 10**12)
        bounds = f"{numbers.count(batch.minimum)} to {numbers.count(limit)}" if limit < 10**12 else ""
        field: Row = ((self._text, Role.STRONG), ("▏", Role.ACCENT), (" " * (_LONGEST - len(self._text)), Role.INK))
        now = f"now {numbers.count(batch.batch_size)}"
        rows: list[Row] = [
            (*_label("samples per update"), *field, (f"   {now}   {bounds}", Role.DIM)),
            (*_label(""), (shorten(refusal, width - _LABEL), Role.WARNING if self._text else Role.DIM)),
        ]
        rows += _rule_rows(shown, self._rule, batch.learning_rate, width)
        rows += [BLANK, *_consequence_rows(shown, snapshot.run.train_samples)]
        return [*rows, BLANK, _keys()]


def _label(text: str) -> Row:
    return ((text.ljust(_LABEL), Role.DIM),)


def _keys() -> Row:
    keys = (("enter", "apply"), ("up down", "learning rate rule"), ("esc", "cancel"))
    return tuple(run for key, text in keys for run in ((key, Role.KEY), (f" {text}   ", Role.DIM)))


def _rule_rows(shown: Preview | None, chosen: LearningRateRule, now: float, width: int) -> list[Row]:
    rows: list[Row] = []
    for rule in _RULES:
        name = _RULE_NAMES[rule]
        if rule is LearningRateRule.AUTO and shown is not None:
            name = f"auto: {_RULE_NAMES[shown.rule_in_force]}"
        mark = "▸ " if rule is chosen else "  "
        role = Role.STRONG if rule is chosen else Role.DIM
        change = ""
        if shown is not None:
            then = shown.learning_rates[rule]
            change = f"{numbers.learning_rate(now)} → {numbers.learning_rate(then)}"
            change = "needs the noise scale" if then is None else change
        label = _label("learning rate" if not rows else "")
        rows.append((*label, (mark, Role.ACCENT), (f"{name:<18}", role), (shorten(change, width - _LABEL - 20), role)))
    return rows


def _consequence_rows(shown: Preview | None, samples: int | None) -> list[Row]:
    updates, memory = "", ""
    if shown is not None and samples is None:
        updates = numbers.UNKNOWN
    elif shown is not None and shown.verdict is not None:
        updates = f"{numbers.count(shown.updates_now)} → {numbers.count(shown.updates_then)}, {shown.verdict.value}"
        updates += " (10 to 100 is the aim)"
    if shown is not None:
        memory = "no forecast for this size"
        if shown.forecast is not None:
            fits = {True: ", fits", False: ", does not fit in one pass", None: ""}[shown.forecast.fits]
            memory = f"peak {numbers.size(shown.forecast.peak_bytes)}{fits}"
    return [(*_label("updates per epoch"), (updates, Role.INK)), (*_label("memory"), (memory, Role.INK))]
