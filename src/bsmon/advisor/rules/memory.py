"""Is memory the limit? C, part 10: the smallest that fits, and gradient accumulation."""

from __future__ import annotations

from bsmon.advisor.bounds import BATCHNORM_FLOOR
from bsmon.advisor.building import Reason, advise, change_micro_batch, even_micro_batch
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, any_yes, node
from bsmon.core.advice import Advice, Certainty, Reading

NEARLY_FULL = 0.95  # of the memory that training may use: one longer sample ends the run
SOURCE = "C part 10, B section 5"


def memory(evidence: Evidence, _limits: Limits) -> Finding:
    """Node 5."""
    share = _share(evidence)
    full = None if share is None else share > NEARLY_FULL
    fenced = any(fence <= evidence.batch_size for fence in evidence.fences) or None
    limited = any_yes(full, fenced)
    found = node(
        "memory",
        "Memory limited?",
        limited,
        _verdict(full, fenced, evidence),
        (
            Reading("peak memory", None if share is None else 100 * share, "%", ">", 100 * NEARLY_FULL),
            Reading("ran out of memory at micro batch", min(evidence.fences, default=None)),
            Reading("accumulation steps", evidence.accumulation_steps),
        ),
        source=SOURCE,
    )
    return Finding((found,), _advice(evidence) if full else None)


def _share(evidence: Evidence) -> float | None:
    if evidence.memory_peak_bytes is None or not evidence.memory_limit_bytes:
        return None
    return evidence.memory_peak_bytes / evidence.memory_limit_bytes


def _verdict(full: bool | None, fenced: bool | None, evidence: Evidence) -> str:
    if full:
        return "nearly full"
    if fenced:
        return f"{evidence.accumulation_steps} micro batches keep it within memory"
    return "peak or limit unknown" if full is None else "room to spare"


def _advice(evidence: Evidence) -> Advice:
    half = even_micro_batch(evidence.share(evidence.batch_size), max(1, evidence.micro_batch_size // 2))
    too_small = evidence.micro_batch_size == 1 or bool(evidence.has_batchnorm and half < BATCHNORM_FLOOR)
    reason = Reason(
        node="memory",
        title="A smaller model or precision" if too_small else "Smaller micro batch",
        why="Memory is nearly full"
        + (
            ", and the micro batch cannot be halved: use bf16, a smaller model or GroupNorm."
            if too_small
            else ": half the micro batch, accumulated twice as often, trains the same batch."
        ),
        source=SOURCE,
        certainty=Certainty.HIGH,
        certainty_reason="measured peak",
        changes_mind=f"A peak below {100 * NEARLY_FULL:.0f} % of the limit.",
    )
    return advise(evidence, reason) if too_small else change_micro_batch(evidence, reason, half)
