"""The recommendation as rows: what to do, from what to what, why, what to expect, how sure, and the keys."""

from __future__ import annotations

from bsmon.core.advice import Action, Advice, Certainty, Prediction, Score
from bsmon.core.text import clean
from bsmon.ui import numbers
from bsmon.ui.roles import BLANK, Role, Row
from bsmon.ui.rows import joined, paragraph, row_width, rule, shorten, spread
from bsmon.ui.view import View

_CERTAINTY_ROLES = {Certainty.LOW: Role.WARNING, Certainty.MEDIUM: Role.INK, Certainty.HIGH: Role.GOOD}
_CHANGES = (Action.BATCH, Action.LEARNING_RATE, Action.MICRO_BATCH)
_MARGIN = 12


def advice_rows(view: View, width: int) -> list[Row]:
    """The recommendation in full."""
    advisor = view.snapshot.advisor
    advice = advisor.advice
    if advice is None:
        why = "The advisor has not seen enough yet." if not view.state.ended else "No advice."
        return [rule("Advice", "", width), *paragraph(why, width, Role.DIM)]
    title: Row = ((f"→ {clean(advice.title)}", Role.STRONG),)
    rows: list[Row] = [rule("Advice", clean(advice.source), width), spread(title, keys_row(view), width)]
    rows += [((" " * 2, Role.INK), *row) for row in change_rows(advice, width - 2)]
    rows += paragraph(clean(advice.why), width, indent=2)
    rows.append(BLANK)
    rows += _entry("expect", ", ".join(prediction_texts(advice.prediction)), width)
    reason = f": {clean(advice.certainty_reason)}" if advice.certainty_reason else ""
    rows += _entry("certainty", advice.certainty.value + reason, width, _CERTAINTY_ROLES[advice.certainty])
    rows += _entry("unless", clean(advice.changes_mind), width)
    rows += _entry("the size", clean(advice.trade_off), width)
    rows += _entry("so far", score_text(advisor.score), width)
    return rows


def short_advice(view: View, width: int, height: int) -> list[Row]:
    """The recommendation in a few rows: the change, then why with the keys."""
    advice = view.snapshot.advisor.advice
    if advice is None:
        none_yet: Row = (("No advice yet.", Role.DIM),)
        return [none_yet][:height]
    title: Row = ((f"→ {clean(advice.title)}", Role.STRONG),)
    keys = keys_row(view)
    # The sizes are the advice: they give way to nothing but the keys that apply it.
    first = joined([title, *_changes(advice, "LR")], width - row_width(keys) - 1)
    if height <= 1:
        return [spread(first, keys, width)]
    why = paragraph(clean(advice.why), width - 2, lines=max(1, height - 2), indent=2)
    expect = ", ".join(prediction_texts(advice.prediction))
    rows = [spread(first, keys, width), *why]
    if expect:
        rows.append(((shorten("  " + expect, width), Role.DIM),))
    return rows[:height]


def change_rows(advice: Advice, width: int) -> list[Row]:
    """From what to what; nothing where the advice is to keep all as it is."""
    parts = _changes(advice, "learning rate")
    if not parts:
        return []
    if row_width(joined(parts, 1000)) <= width:
        return [joined(parts, width)]
    return parts


def _changes(advice: Advice, learning_rate: str) -> list[Row]:
    """Each change by itself, the most important first; `learning_rate` is what that is called here."""
    parts: list[Row] = []
    if advice.new_batch_size != advice.batch_size:
        parts.append(_change("batch", numbers.count(advice.batch_size), numbers.count(advice.new_batch_size)))
    if advice.new_learning_rate != advice.learning_rate:
        old, new = numbers.learning_rate(advice.learning_rate), numbers.learning_rate(advice.new_learning_rate)
        parts.append(_change(learning_rate, old, new))
    if advice.new_micro_batch_size is not None and advice.new_micro_batch_size != advice.micro_batch_size:
        old, new = numbers.count(advice.micro_batch_size), numbers.count(advice.new_micro_batch_size)
        parts.append(_change("micro batch", old, new))
    return parts


def _change(label: str, old: str, new: str) -> Row:
    return ((f"{label} ", Role.DIM), (f"{old} → ", Role.INK), (new, Role.STRONG))


def prediction_texts(prediction: Prediction) -> list[str]:
    """What is predicted, each with its unit; what is not known is left out."""
    texts = []
    at_most, at_least = ("≤ ", "≥ ") if prediction.is_bound else ("", "")
    if prediction.samples_per_second is not None:
        texts.append(f"{numbers.compact(prediction.samples_per_second)} samples/s")
    if prediction.relative_time is not None:
        texts.append(f"time to the same loss {at_most}{prediction.relative_time:.2f}x")
    if prediction.statistical_efficiency is not None:
        texts.append(f"efficiency {at_least}{prediction.statistical_efficiency:.2f}")
    if prediction.peak_bytes is not None:
        texts.append(f"peak {numbers.size(prediction.peak_bytes)}")
    return texts


def score_text(score: Score) -> str:
    """How the applied advice turned out."""
    if not score.applied:
        return ""
    texts = [f"{score.applied} applied"]
    if score.reverted:
        texts.append(f"{score.reverted} taken back")
    if score.samples_per_second_error is not None:
        texts.append(f"speed within {numbers.share(score.samples_per_second_error)}")
    if score.memory_error is not None:
        texts.append(f"memory within {numbers.share(score.memory_error)}")
    if score.progress_error is not None:
        texts.append(f"progress within {numbers.share(score.progress_error)}")
    return ", ".join(texts)


def keys_row(view: View) -> Row:
    """What can be pressed, or why nothing can."""
    advisor = view.snapshot.advisor
    if advisor.dismissed_until:
        return ((f"put aside {clean(advisor.dismissed_until)}", Role.DIM),)
    if view.state.ended or advisor.advice is None or advisor.advice.action not in _CHANGES:
        return BLANK
    return (("a", Role.KEY), (" apply   ", Role.DIM), ("x", Role.KEY), (" not now", Role.DIM))


def _entry(label: str, text: str, width: int, role: Role = Role.INK) -> list[Row]:
    if not text:
        return []
    wrapped = paragraph(text, max(8, width - _MARGIN), role)
    return [(((f"  {label}" if not index else "").ljust(_MARGIN), Role.DIM), *row) for index, row in enumerate(wrapped)]
