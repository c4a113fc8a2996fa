"""How the run ended, in plain words; on the screen only once it has."""

from __future__ import annotations

from bsmon.core.snapshot import RunState, Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import paragraph
from bsmon.ui.view import View

HEIGHT = 4


class Banner(Panel):
    """Says what happened and what to press."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:
        """A rule, the outcome in up to two rows, and the way out."""
        snapshot = view.snapshot
        role = {RunState.FINISHED: Role.GOOD, RunState.STOPPED: Role.WARNING}.get(view.state, Role.BAD)
        text = paragraph(outcome(snapshot), width - 2, role, lines=max(1, height - 2), indent=1)
        way_out: Row = ((" q", Role.KEY), (f" quit{_after(snapshot)}", Role.DIM))
        return [(("━" * width, role),), *text, way_out]


def outcome(snapshot: Snapshot) -> str:
    """One or two sentences: how it ended, after how much, with what loss."""
    progress = snapshot.progress
    done = f"{numbers.count(progress.step)} steps, {numbers.count(progress.samples)} samples"
    after = f"after {done} in {numbers.duration(progress.elapsed_s)}"
    if snapshot.state is RunState.FAILED:
        message = clean(snapshot.failure.message) if snapshot.failure else "the reason is not known"
        return f"Failed {after}: {message}"
    word = "Finished" if snapshot.state is RunState.FINISHED else "Stopped on request"
    return f"{word} {after}.{_losses(snapshot)}"


def _losses(snapshot: Snapshot) -> str:
    texts = []
    smoothed = snapshot.series.get("loss_smoothed")
    if smoothed is not None:
        texts.append(f"loss {numbers.number(smoothed.last)}")
    evaluation = snapshot.evaluation
    if evaluation is not None:
        texts.append(f"validation loss {numbers.number(evaluation.loss)}")
        if evaluation.accuracy is not None:
            texts.append(f"accuracy {evaluation.accuracy * 100:.1f} %")
    return f" Last: {', '.join(texts)}." if texts else ""


def _after(snapshot: Snapshot) -> str:
    if snapshot.state is RunState.FAILED:
        return "; the traceback is printed then"
    return f"; all of it is in {clean(snapshot.run.run_dir)}" if snapshot.run.run_dir else ""
