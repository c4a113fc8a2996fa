"""What one rule of the tree comes back with, and how nodes are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bsmon.advisor.explanations import EXPLANATIONS
from bsmon.core.advice import Advice, Answer, Reading, TreeNode


@dataclass(frozen=True, slots=True)
class Finding:
    """The nodes of one question, its own first, and what it recommends, if anything."""

    nodes: tuple[TreeNode, ...]
    advice: Advice | None = None


def node(
    name: str,
    question: str,
    answer: bool | None,
    verdict: str,
    readings: Iterable[Reading] = (),
    *,
    source: str,
    depth: int = 0,
) -> TreeNode:
    """A node of the tree; an answer of None is unknown. `lit` is set when the path is known."""
    said = Answer.UNKNOWN if answer is None else Answer.YES if answer else Answer.NO
    return TreeNode(
        id=name,
        question=question,
        answer=said,
        readings=tuple(readings),
        verdict=verdict,
        lit=False,
        depth=depth,
        source=source,
        explanation=EXPLANATIONS[name],
    )


def above(value: float | None, threshold: float) -> bool | None:
    """Whether a value is above a threshold; None for an unknown value."""
    return None if value is None else value > threshold


def below(value: float | None, threshold: float) -> bool | None:
    """Whether a value is below a threshold; None for an unknown value."""
    return None if value is None else value < threshold


def any_yes(*answers: bool | None) -> bool | None:
    """Yes where one says yes, no where all that know say no and one knows, else unknown."""
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None
