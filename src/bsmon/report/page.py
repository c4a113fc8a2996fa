"""The report: one HTML page with everything in it, for somebody who has never seen bsmon."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from bsmon.advisor.goodput import statistical_efficiency
from bsmon.core.advice import Advice
from bsmon.core.snapshot import Snapshot
from bsmon.core.text import clean
from bsmon.report.axes import duration, number
from bsmon.report.charts import Line, chart, line_of
from bsmon.report.story import BatchStretch, Story
from bsmon.report.style import STYLE

_PERCENT = 100


def page(snapshot: Snapshot, story: Story) -> str:
    """The whole page of a run: `snapshot` is its last state, `story` its course."""
    title = f"Training run {snapshot.run.name}"
    sections = [
        _head(snapshot, story),
        _section("Loss", _LOSS, _loss(snapshot)),
        _section("Gradient norm", _GRADIENT, _over_steps(snapshot, "grad_norm", "gradient norm")),
        _section("Gradient noise scale", _NOISE, _noise(story)),
        _section("Memory against batch size", _MEMORY, _memory(snapshot, story)),
        _section("Speed", _SPEED, _speed(snapshot) + _stretches(snapshot, story)),
        _section("Interventions", _INTERVENTIONS, _interventions(story)),
        _section("Advice", _ADVICE, _advice(snapshot, story)),
        _section("Events", "", _events(snapshot)),
    ]
    body = "\n".join(sections)
    # The policy makes the browser itself refuse anything from elsewhere.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


_LOSS = (
    "The model's error on the samples of each update (pale: the range, strong: smoothed) and on data it does not "
    "train on (validation). Lower is better. Upright lines are changes of the batch size."
)
_GRADIENT = "How strongly each update pulls on the weights. Sudden rises are a sign of unstable training."
_NOISE = (
    "The batch size, in samples, at which noise and signal of the gradient are about equal (McCandlish et al. 2018). "
    "Far below it a larger batch helps almost in proportion; far above it samples are wasted. Pale: the 90 % interval."
)
_MEMORY = "The most that the tensors of an update took at each batch size, and what bsmon expects of others."
_SPEED = (
    "Samples trained per second. Goodput is that times what a sample is worth at this batch size, noise scale / "
    "(noise scale + batch size): progress per second."
)
_INTERVENTIONS = "What was changed while the run trained, by hand or on advice, and what was refused or reverted."
_ADVICE = "What bsmon recommended while the run trained, and how its predictions turned out where they were followed."


def _safe(text: object) -> str:
    return html.escape(clean(str(text)))


def _section(title: str, text: str, content: str) -> str:
    said = f'<p class="what">{_safe(text)}</p>\n' if text else ""
    return f"<section>\n<h2>{_safe(title)}</h2>\n{said}{content}\n</section>"


def _head(snapshot: Snapshot, story: Story) -> str:
    run, progress, evaluation = snapshot.run, snapshot.progress, snapshot.evaluation
    started = "n/a" if story.started is None else f"{datetime.fromtimestamp(story.started, UTC):%Y-%m-%d %H:%M} UTC"
    best = story.best
    facts = [
        ("State", snapshot.state.value),
        ("Started", started),
        ("Took", duration(progress.elapsed_s)),
        ("Data", run.task or "n/a"),
        ("Training samples", number(run.train_samples)),
        ("Model", f"{run.model or 'n/a'}, {number(run.parameters)} parameters"),
        ("Optimizer", run.optimizer or "n/a"),
        ("Device", f"{run.device or 'n/a'} {run.device_name}{f', {run.world_size} ranks' * (run.world_size > 1)}"),
        ("Updates", f"{progress.step:,} in {progress.epoch} epochs"),
        ("Last validation loss", number(evaluation.loss if evaluation else None)),
        ("Last validation accuracy", _share(evaluation.accuracy if evaluation else None)),
        ("Best validation loss", "n/a" if best is None else f"{number(best.loss)} at update {best.step:,}"),
        ("Batch sizes", _path(snapshot)),
    ]
    rows = "\n".join(f"<dt>{_safe(name)}</dt><dd>{_safe(value)}</dd>" for name, value in facts)
    failure = f'<p class="bad">{_safe(snapshot.failure.message)}</p>\n' if snapshot.failure else ""
    return f"<header>\n<h1>{_safe(run.name)}</h1>\n{failure}<dl>\n{rows}\n</dl>\n</header>"


def _path(snapshot: Snapshot) -> str:
    if not snapshot.marks:
        return "n/a" if snapshot.batch is None else f"{snapshot.batch.batch_size}, never changed"
    return " → ".join([str(snapshot.marks[0].old_batch_size), *(str(mark.new_batch_size) for mark in snapshot.marks)])


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{_PERCENT * value:.1f} %"


def _loss(snapshot: Snapshot) -> str:
    series = snapshot.series
    lines = []
    if "loss" in series:
        whole = line_of(series["loss"], "each update", "pale")
        lines.append(Line("smoothed", line_of(series["loss_smoothed"], "").points, whole.band, "first"))
    if "validation_loss" in series:
        lines.append(Line("validation", line_of(series["validation_loss"], "").points, (), "second", dots=True))
    return chart(lines, x_label="updates", marks=snapshot.marks)


def _over_steps(snapshot: Snapshot, name: str, label: str, unit: str = "") -> str:
    found = snapshot.series.get(name)
    lines = [line_of(found, label)] if found is not None else []
    return chart(lines, x_label="updates", unit=unit, marks=snapshot.marks)


def _speed(snapshot: Snapshot) -> str:
    return _over_steps(snapshot, "samples_per_second", "samples per second")


def _noise(story: Story) -> str:
    known = [(float(point.step), point.value) for point in story.noise if point.value is not None]
    bands = [
        (float(point.step), point.low, point.high)
        for point in story.noise
        if point.low is not None and point.high is not None
    ]
    return chart([Line("noise scale, samples", known, bands, "first")], x_label="updates")


def _memory(snapshot: Snapshot, story: Story) -> str:
    measured = sorted(
        (float(stretch.batch_size), float(stretch.memory_bytes))
        for stretch in story.stretches.values()
        if stretch.memory_bytes and stretch.batch_size
    )
    expected = sorted((float(f.micro_batch_size), float(f.peak_bytes)) for f in snapshot.forecasts)
    lines = [
        Line("highest seen at this batch size", measured, role="first", dots=True),
        Line("expected of this micro batch", expected, role="second", dots=True),
    ]
    return chart(lines, x_label="batch size, samples", unit="bytes", log_x=True)


def _stretches(snapshot: Snapshot, story: Story) -> str:
    noise = snapshot.advisor.noise_scale.value
    rows = [_stretch(stretch, noise) for _, stretch in sorted(story.stretches.items())]
    return _table(("Batch size", "Updates", "Samples", "Samples/s", "Worth of a sample", "Goodput", "Memory"), rows)


def _stretch(stretch: BatchStretch, noise: float | None) -> tuple[str, ...]:
    speed = stretch.samples_per_second
    worth = statistical_efficiency(stretch.batch_size, noise) if noise is not None and stretch.batch_size else None
    return (
        str(stretch.batch_size or "n/a"),
        f"{stretch.updates:,}",
        f"{stretch.samples:,}",
        number(speed),
        _share(worth),
        number(speed * worth if speed is not None and worth is not None else None),
        number(stretch.memory_bytes, "bytes"),
    )


def _interventions(story: Story) -> str:
    rows = [
        (f"{noted.step:,}", duration(moment.time_s), noted.text, str(noted.data.get("source") or ""))
        for moment, noted in story.interventions
    ]
    return _table(("Update", "Time", "What", "Asked by"), rows)


def _advice(snapshot: Snapshot, story: Story) -> str:
    rows = [
        (f"{step:,}", advice.title, _change(advice), advice.why, advice.certainty.value)
        for step, advice in story.advice
    ]
    score = snapshot.advisor.score
    facts = (
        f"Followed {score.applied} times, {score.reverted} of them taken back. Median error of the predictions: "
        f"memory {_share(score.memory_error)}, speed {_share(score.samples_per_second_error)}, "
        f"progress {_share(score.progress_error)}."
    )
    table = _table(("From update", "Advice", "Change", "Why", "Certainty"), rows)
    return f'{table}\n<p class="what">{_safe(facts)}</p>'


def _change(advice: Advice) -> str:
    parts = []
    if advice.batch_size != advice.new_batch_size:
        parts.append(f"batch {advice.batch_size} → {advice.new_batch_size}")
    if advice.learning_rate != advice.new_learning_rate:
        parts.append(f"learning rate {advice.learning_rate:.3g} → {advice.new_learning_rate:.3g}")
    return ", ".join(parts) or "none"


def _events(snapshot: Snapshot) -> str:
    rows = [(duration(e.time_s), f"{e.step:,}", e.level.value, e.text) for e in snapshot.events]
    return f"<details><summary>{len(rows)} events</summary>\n{_table(('Time', 'Update', '', 'What'), rows)}\n</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return '<p class="none">None.</p>'
    head = "".join(f"<th>{_safe(cell)}</th>" for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
