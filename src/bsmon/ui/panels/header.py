"""The two top lines: what runs and how far it is; the batch size, and the progress as a bar."""

from __future__ import annotations

from bsmon.core.snapshot import BatchState, RunState, Snapshot
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.panels.panel import Panel
from bsmon.ui.roles import Role, Row
from bsmon.ui.rows import joined, row_width, shorten, spread
from bsmon.ui.view import View

_STATES: dict[RunState, tuple[str, Role]] = {
    RunState.STARTING: ("○", Role.WARNING),
    RunState.TRAINING: ("●", Role.GOOD),
    RunState.PAUSED: ("‖", Role.WARNING),
    RunState.EVALUATING: ("◐", Role.GOOD),
    RunState.FINISHED: ("■", Role.GOOD),
    RunState.STOPPED: ("■", Role.WARNING),
    RunState.FAILED: ("■", Role.BAD),
}


_WIDE = 100
_BAR_LEAST = 17  # cells kept for the progress bar before less telling facts get any


class Header(Panel):
    """Always on the screen, whatever its size."""

    def rows(self, view: View, width: int, height: int) -> list[Row]:  # noqa: ARG002 - cut by the base
        """Two rows."""
        inner = width - 2
        return [_indent(_first(view, inner)), _indent(_second(view, inner))]


def state_row(view: View) -> Row:
    """The state with its sign: "● training"."""
    sign, role = _STATES[view.state]
    text = view.state.value
    if view.stopping and not view.state.ended:
        text, role = "stopping", Role.WARNING
    return ((f"{sign} {text}", role),)


def batch_row(view: View) -> Row:
    """The batch size in force, and after an arrow the one that was asked for."""
    batch = view.snapshot.batch
    if batch is None:
        return ()
    row: Row = ((f" batch {numbers.count(batch.batch_size)} ", Role.BADGE),)
    if batch.pending is not None and batch.pending != batch.batch_size:
        row = (*row, (f" → {numbers.count(batch.pending)} …", Role.WARNING))
    return row


def labelled(label: str, value: str, role: Role = Role.INK) -> Row:
    """A dim label with its value."""
    return ((f"{label} ", Role.DIM), (value, role))


def _indent(row: Row) -> Row:
    return ((" ", Role.INK), *row)


def _first(view: View, width: int) -> Row:
    snapshot, run, progress = view.snapshot, view.snapshot.run, view.snapshot.progress
    name: Row = (("bsmon ", Role.TITLE), (shorten(clean(run.name), max(8, width // 5)), Role.STRONG))
    parts: list[Row] = [name, state_row(view)]
    if view.state is RunState.STARTING:
        parts += [((f"{clean(snapshot.waiting_for) or 'starting'} … {view.waited_s} s", Role.INK),)]
    else:
        parts += [
            labelled("epoch", _of(progress.epoch, run.epochs)),
            labelled("step", _of(progress.step, run.max_steps)),
            labelled("samples", _of(progress.samples, progress.total_samples)),
        ]
    used = row_width(joined(parts, width, "  "))
    device = labelled("on", shorten(_device(snapshot), max(0, width - used - 5)))
    return spread(joined(parts, width, "  "), device if width - used >= 12 and run.device else (), width)


def _of(value: int, total: int | None) -> str:
    return numbers.count(value) if total is None else f"{numbers.count(value)}/{numbers.count(total)}"


def _device(snapshot: Snapshot) -> str:
    run = snapshot.run
    precision = "" if run.precision == "fp32" else f", {run.precision}"
    threads = f", {run.threads} thread{'s' * (run.threads > 1)}" if run.threads and run.device == "cpu" else ""
    named = f"{run.device} {run.device_name}" if run.device != "cpu" else run.device
    ranks = f", {run.world_size} ranks" if run.world_size > 1 else ""
    return clean(f"{named.strip()}{ranks}{threads}{precision}")


def _second(view: View, width: int) -> Row:
    batch, progress = view.snapshot.batch, view.snapshot.progress
    left = [batch_row(view)]
    if batch is not None:
        label = "learning rate" if width >= _WIDE else "LR"
        left += [labelled(label, numbers.learning_rate(batch.learning_rate)), *_accumulation(batch), *_by_hand(batch)]
    row = joined(left, width)
    right = [
        labelled("", f"{numbers.compact(progress.samples_per_second)} samples/s", Role.STRONG)[1:],
        *([] if view.state.ended else [labelled("left", numbers.duration(progress.eta_s))]),
        labelled("elapsed", numbers.duration(progress.elapsed_s)),
    ]
    facts = joined(right, width - row_width(row) - _BAR_LEAST - 3) if view.state is not RunState.STARTING else ()
    space = width - row_width(row) - row_width(facts) - 6
    bar = _bar(view.snapshot, min(space, 60)) if space >= _BAR_LEAST - 3 else ()
    return spread((*row, ("   ", Role.INK), *bar), facts, width)


def _accumulation(batch: BatchState) -> list[Row]:
    factors = [batch.micro_batch_size, batch.gradient_accumulation_steps, batch.world_size]
    if factors[1:] == [1, 1]:
        return []
    ranks = " ranks" if batch.world_size > 1 else ""
    return [(("= ", Role.DIM), (f"{' × '.join(map(str, factors if ranks else factors[:2]))}{ranks}", Role.INK))]


def _by_hand(batch: BatchState) -> list[Row]:
    """What the advisor leaves alone until it is released."""
    return [(("by hand", Role.WARNING),)] if batch.by_hand else []


def _bar(snapshot: Snapshot, width: int) -> Row:
    done = progress_share(snapshot)
    if done is None:
        return ()
    length = width - 6
    filled = round(done * length)
    percent = int(done * 100)  # cut off, not rounded: 100 % is for the end
    return (
        ("━" * filled, Role.ACCENT),
        ("─" * (length - filled), Role.RULE),
        (f" {'<1 %' if done and not percent else f'{percent} %':>5}", Role.INK),
    )


def progress_share(snapshot: Snapshot) -> float | None:
    """How much of the run is done, 0..1; None while its length is not known."""
    progress, run = snapshot.progress, snapshot.run
    if progress.total_samples:
        return min(1.0, progress.samples / progress.total_samples)
    return min(1.0, progress.step / run.max_steps) if run.max_steps else None
