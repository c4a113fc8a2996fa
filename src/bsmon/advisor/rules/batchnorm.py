"""What a batch must hold: samples enough for BatchNorm (C, part 9) and classes enough (B, section 4)."""

from __future__ import annotations

from bsmon.advisor.bounds import BATCHNORM_FLOOR, BATCHNORM_PREFERRED, bounds, fits
from bsmon.advisor.building import Reason, advise, change_batch, change_micro_batch, even_micro_batch
from bsmon.advisor.class_mix import SOURCE as CLASS_SOURCE
from bsmon.advisor.class_mix import enough_classes, expected_distinct_classes, smallest_batch_size
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, below, node
from bsmon.core.advice import Advice, Certainty, Reading

SOURCE = "C part 9"


def batchnorm(evidence: Evidence, limits: Limits) -> Finding:
    """Node 4. The floor is on the micro batch: accumulation does not help BatchNorm."""
    micro, uses = evidence.micro_batch_size, evidence.has_batchnorm
    found = node(
        "batchnorm",
        "Using Batch Normalization?",
        uses,
        _verdict(uses, micro),
        (Reading("micro batch", micro, "", ">=", BATCHNORM_FLOOR if uses else None),),
        source=SOURCE,
    )
    return Finding((found,), _advice(evidence, limits) if uses and micro < BATCHNORM_FLOOR else None)


def _verdict(uses: bool | None, micro: int) -> str:
    if uses is None:
        return "model not known yet"
    if not uses:
        return "8-16 is fine"
    if micro == 1:
        return "fails with a single sample"
    if micro < BATCHNORM_FLOOR:
        return f"keep {BATCHNORM_FLOOR} or more"
    return "enough" if micro >= BATCHNORM_PREFERRED else f"enough; {BATCHNORM_PREFERRED} is better"


def _advice(evidence: Evidence, limits: Limits) -> Advice:
    share, floor = evidence.share(evidence.batch_size), BATCHNORM_FLOOR * evidence.world_size
    micro = min(share, BATCHNORM_PREFERRED)
    reason = Reason(
        node="batchnorm",
        title="Larger micro batch",
        why=f"BatchNorm's mean and variance of {evidence.micro_batch_size} samples are mostly noise.",
        source=SOURCE,
        certainty=Certainty.HIGH,
        certainty_reason="the documents are explicit",
        changes_mind="A model with LayerNorm or GroupNorm.",
    )
    if micro >= BATCHNORM_FLOOR:
        for size in (micro, BATCHNORM_FLOOR, share):
            even = even_micro_batch(share, size)
            if even >= BATCHNORM_FLOOR and fits(evidence, even) is not False:
                return change_micro_batch(evidence, reason, even)
        return advise(evidence, _other_norm())
    within = bounds(evidence, limits)
    change = None
    if within is not None and within.allows(floor):
        change = change_batch(evidence, reason, floor)
    return change if change is not None else advise(evidence, _other_norm())


def _other_norm() -> Reason:
    return Reason(
        node="batchnorm",
        title="Use GroupNorm or LayerNorm",
        why=f"BatchNorm needs {BATCHNORM_FLOOR} samples a forward pass, and memory or your bounds do not allow them.",
        source=SOURCE,
        certainty=Certainty.HIGH,
        certainty_reason="the documents are explicit",
        changes_mind="More memory, or wider bounds.",
    )


def class_mix(evidence: Evidence, limits: Limits) -> Finding:
    """Node 4b: does a batch hold classes enough, as the sampler draws them?"""
    chances = evidence.class_probabilities
    expected = None if chances is None else expected_distinct_classes(chances, evidence.batch_size)
    enough = None if chances is None else enough_classes(sum(1 for chance in chances if chance > 0))
    few = None if enough is None else below(expected, enough)
    found = node(
        "class_mix",
        "Does a batch hold very few classes?",
        few,
        {None: "no classes known", True: "too few", False: "a good mix"}[few],
        (
            Reading("expected distinct classes", expected, "", "<", enough),
            Reading("counted distinct classes", evidence.distinct_classes),
        ),
        source=CLASS_SOURCE,
        depth=1,
    )
    return Finding((found,), _more_classes(evidence, limits) if few else None)


def _more_classes(evidence: Evidence, limits: Limits) -> Advice | None:
    within = bounds(evidence, limits)
    if within is None or evidence.class_probabilities is None:
        return None
    size = smallest_batch_size(evidence.class_probabilities, within.high)
    if size is None or not within.allows(size) or size <= evidence.batch_size:
        return None
    reason = Reason(
        node="class_mix",
        title="Larger batch",
        why="A batch this small holds very few distinct classes, so each update pulls towards those alone.",
        source=CLASS_SOURCE,
        certainty=Certainty.LOW,
        certainty_reason="the document gives no number",
        changes_mind="More even class frequencies, or a weighted sampler.",
    )
    return change_batch(evidence, reason, size)
