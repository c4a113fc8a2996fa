"""What a terminal too small for the panels gets: the facts that matter most, one a line."""

from __future__ import annotations

from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.layout import SMALLEST
from bsmon.ui.panels.header import batch_row, labelled, progress_share, state_row
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.view import View


class Small(Panel):
    """Plain lines, cut at whatever size there is."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:  # noqa: ARG002 - cut by the base
        """The most telling first."""
        snapshot = view.snapshot
        loss = snapshot.series.get("loss_smoothed")
        rows: list[Row] = [
            (*state_row(view), (f"  {numbers.share(progress_share(snapshot))}", Role.INK)),
            batch_row(view),
            labelled("loss", numbers.number(None if loss is None else loss.last)),
            labelled("step", numbers.count(snapshot.progress.step)),
            ((f"{numbers.compact(snapshot.progress.samples_per_second)} samples/s", Role.INK),),
        ]
        if snapshot.waiting_for:
            rows.insert(1, ((clean(snapshot.waiting_for), Role.INK),))
        if snapshot.failure is not None:
            rows.insert(1, ((clean(snapshot.failure.message), Role.BAD),))
        wanted = f"panels from {SMALLEST[0]}x{SMALLEST[1]} on; keys work as always"
        return [*rows, ((wanted, Role.DIM),)]
