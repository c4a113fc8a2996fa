"""The batch dial: choose or type a size and see, before it is applied, what it will do."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType

from bsmon.core.commands import Command, Forecast, LearningRateRule, SetBatchSize, SetMicroBatchSize
from bsmon.core.errors import NotApplicable
from bsmon.core.ports import Session
from bsmon.core.snapshot import BatchState, Snapshot
from bsmon.ui import numbers
from bsmon.ui.dial_rows import LABEL, RULES, Chosen, label, rule_note, rule_rows, table_rows
from bsmon.ui.preview import learning_rate, parse_batch_size, previews, sizes_around
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import shorten
from bsmon.ui.screens.dialog import Dialog, keys_row

_LONGEST = 12
_KEYS = (("enter", "apply"), ("↑↓", "size"), ("←→", "rule"), ("m", "micro batch"), ("esc", "cancel"))


class BatchSizeScreen(Dialog[tuple[Command, ...]]):
    """Up and down choose a size, digits type one, left and right choose the rule, enter applies."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", show=False),
        Binding("enter", "apply", show=False),
        Binding("backspace", "erase", show=False),
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
        Binding("left", "rule(-1)", show=False),
        Binding("right,tab", "rule(1)", show=False),
        Binding("m", "micro_batch", show=False, priority=True),
    ]

    def __init__(self, session: Session, styles: Mapping[str, Style]) -> None:
        super().__init__(styles, "Batch size")
        self._session = session
        self._text = ""
        self._micro = ""
        self._types_micro = False
        batch = session.snapshot().batch
        run_rule = batch.learning_rate_rule if batch is not None else "auto"
        self._rule = next((rule for rule in RULES if rule.value == run_rule), LearningRateRule.AUTO)

    def on_mount(self) -> None:
        """Ask for the memory of the sizes in the table; the answers come one a step."""
        snapshot = self._session.snapshot()
        if snapshot.batch is not None:
            with contextlib.suppress(NotApplicable):  # a viewer may look, and sees what is known
                self._session.submit(Forecast(tuple(sizes_around(snapshot.batch, snapshot))))

    # --- keys

    def on_key(self, event: events.Key) -> None:
        """A printable character goes into the field."""
        if event.character is not None and event.is_printable and event.key != "m":
            event.stop()
            self._type(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """So does pasted text."""
        self._type("".join(character for character in event.text if character.isprintable()))

    def _type(self, text: str) -> None:
        if self._types_micro:
            self._micro = (self._micro + text)[:_LONGEST]
        else:
            self._text = (self._text + text)[:_LONGEST]
        self.redraw()

    def action_erase(self) -> None:
        """The last character."""
        if self._types_micro:
            self._micro = self._micro[:-1]
        else:
            self._text = self._text[:-1]
        self.redraw()

    def action_choose(self, by: int) -> None:
        """The size above or below in the table."""
        snapshot = self._session.snapshot()
        if snapshot.batch is None:
            return
        sizes = self._sizes(snapshot.batch, snapshot)
        chosen = self._chosen(snapshot) or snapshot.batch.batch_size
        place = sizes.index(chosen) if chosen in sizes else 0
        size = sizes[min(max(0, place + by), len(sizes) - 1)]
        self._text = "" if size == snapshot.batch.batch_size else str(size)
        self._types_micro = False
        self.redraw()

    def action_rule(self, by: int) -> None:
        """The rule beside."""
        self._rule = RULES[(RULES.index(self._rule) + by) % len(RULES)]
        self.redraw()

    def action_micro_batch(self) -> None:
        """Digits are for the micro batch from now on, and back."""
        self._types_micro = not self._types_micro
        self.redraw()

    def action_cancel(self) -> None:
        """Nothing changes."""
        self.dismiss(())

    def action_apply(self) -> None:
        """Ask for what was chosen; what cannot be says so already."""
        snapshot = self._session.snapshot()
        if snapshot.batch is None:
            return
        try:
            commands = (*self._batch_command(snapshot.batch, snapshot), *self._micro_command(snapshot.batch, snapshot))
        except NotApplicable:
            return
        if commands:
            self.dismiss(commands)

    # --- what is chosen

    def _chosen(self, snapshot: Snapshot) -> int | None:
        """The size in question; None where what was typed is none."""
        try:
            return parse_batch_size(self._text, snapshot)
        except NotApplicable:
            return snapshot.batch.batch_size if snapshot.batch is not None and not self._text else None

    def _sizes(self, batch: BatchState, snapshot: Snapshot) -> list[int]:
        chosen = self._chosen(snapshot)
        return sorted({*sizes_around(batch, snapshot), *([chosen] if chosen else [])})

    def _batch_command(self, batch: BatchState, snapshot: Snapshot) -> tuple[Command, ...]:
        """Raises NotApplicable for a size or a rule that cannot be."""
        if not self._text and self._micro_changes(batch):
            return ()
        size = parse_batch_size(self._text, snapshot)
        if learning_rate(self._rule, size, batch, snapshot) is None:
            raise NotApplicable("The rule needs the noise scale, which is not known yet.")
        return (SetBatchSize(size, self._rule),)

    def _micro_changes(self, batch: BatchState) -> bool:
        return bool(self._micro) or (self._types_micro and batch.micro_batch_by_hand)

    def _micro_command(self, batch: BatchState, snapshot: Snapshot) -> tuple[Command, ...]:
        """An empty field means that the engine chooses. Raises NotApplicable for what cannot be."""
        if not self._micro_changes(batch):
            return ()
        if not self._micro:
            return (SetMicroBatchSize(None),)
        size = -(-(self._chosen(snapshot) or batch.batch_size) // batch.world_size)
        digits = self._micro.replace(",", "").replace("_", "")
        if not (digits.isascii() and digits.isdigit()) or not 1 <= int(digits) <= size:
            raise NotApplicable(f"A micro batch is a whole number from 1 to {size:,}.")
        return (SetMicroBatchSize(int(digits)),)

    def _refusal(self, batch: BatchState, snapshot: Snapshot) -> str:
        try:
            self._batch_command(batch, snapshot)
            self._micro_command(batch, snapshot)
        except NotApplicable as reason:
            return str(reason)
        return ""

    # --- what is shown

    def content(self, width: int) -> list[Row]:
        """The field, the table, the rules, the micro batch."""
        snapshot = self._session.snapshot()
        batch = snapshot.batch
        if batch is None:
            return [(("The run has no batch size yet.", Role.DIM),)]
        limit = min(batch.maximum or 10**12, snapshot.run.train_samples or 10**12)
        bounds = f"{numbers.count(batch.minimum)} to {numbers.count(limit)}" if limit < 10**12 else ""
        refusal = self._refusal(batch, snapshot)
        chosen = Chosen(self._chosen(snapshot), self._rule)
        advice = snapshot.advisor.advice
        found = previews(self._sizes(batch, snapshot), batch, snapshot)
        return [
            (*label("batch size"), *_field(self._text, active=not self._types_micro), (f"   {bounds}", Role.DIM)),
            (*label(""), (shorten(refusal, width - LABEL), Role.WARNING if self._text or self._micro else Role.DIM)),
            *table_rows(found, batch, chosen, advice.new_batch_size if advice is not None else None),
            BLANK,
            *rule_rows(chosen, batch, snapshot),
            rule_note(chosen, snapshot, width),
            (*label("micro batch"), *self._micro_row(batch, width - LABEL)),
            keys_row(_KEYS),
        ]

    def _micro_row(self, batch: BatchState, width: int) -> Row:
        now = numbers.count(batch.micro_batch_size)
        if self._types_micro:
            return (*_field(self._micro, active=True), ("   empty: the largest that fits", Role.DIM))
        if self._micro:
            return ((self._micro, Role.STRONG), ("   samples a pass", Role.DIM))
        chosen_by = f"{now}, by hand" if batch.micro_batch_by_hand else f"auto: {now}, the largest that fits"
        return ((shorten(chosen_by, width), Role.INK),)


def _field(text: str, *, active: bool) -> Row:
    return ((text, Role.STRONG), ("▏" if active else " ", Role.ACCENT), (" " * (_LONGEST - len(text)), Role.INK))
