"""Before any advice on batch size: does torch fight other programs for the CPU's cores?"""

from __future__ import annotations

from bsmon.advisor.building import Reason, advise
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, node
from bsmon.core.advice import Advice, Certainty, Reading

LOAD_PER_CORE = 1.1  # runnable tasks a core: more than all of them busy
VARIATION = 0.5  # standard deviation over mean of the step time: some steps wait far longer than others

SOURCE = "bsmon's own, docs/guidelines.md"


def threads(evidence: Evidence, _limits: Limits) -> Finding:
    """Threads on every core, a load above the cores and step times that jump about, all three."""
    per_core = _load_per_core(evidence)
    crowded = _crowded(evidence, per_core)
    question = "Is torch on every core of a crowded CPU?"
    readings = (
        Reading("load per core", per_core, "x", ">", LOAD_PER_CORE),
        Reading("step time variation", evidence.step_time_variation, "x", ">", VARIATION),
        Reading("threads per core", _threads_per_core(evidence), "x", ">=", 1.0),
    )
    found = node("threads", question, crowded, _verdict(evidence, crowded, per_core), readings, source=SOURCE)
    return Finding((found,), _advice(evidence) if crowded else None)


def _verdict(evidence: Evidence, crowded: bool | None, per_core: float | None) -> str:
    """Why it is so; a load that is high and does no harm has to be told from one that is not."""
    if evidence.on_cpu is False:
        return "trains on a GPU"
    if crowded is None:
        return "load or step times unknown"
    if crowded:
        return "leave a core free first"
    if per_core is None or per_core <= LOAD_PER_CORE:
        return "the CPU has room"
    share = _threads_per_core(evidence)
    return (
        "busy, and torch leaves a core free" if share is not None and share < 1 else "busy, and steps take even times"
    )


def _load_per_core(evidence: Evidence) -> float | None:
    if evidence.load_average is None or not evidence.cores:
        return None
    return evidence.load_average / evidence.cores


def _threads_per_core(evidence: Evidence) -> float | None:
    return evidence.threads / evidence.cores if evidence.threads is not None and evidence.cores else None


def _crowded(evidence: Evidence, per_core: float | None) -> bool | None:
    if evidence.on_cpu is False:
        return False
    share = _threads_per_core(evidence)
    if per_core is None or share is None or evidence.step_time_variation is None or evidence.on_cpu is None:
        return None
    return share >= 1 and per_core > LOAD_PER_CORE and evidence.step_time_variation > VARIATION


def _advice(evidence: Evidence) -> Advice:
    fewer = max(1, (evidence.cores or 2) - 1)
    return advise(
        evidence,
        Reason(
            node="threads",
            title=f"Use {fewer} thread{'s' if fewer > 1 else ''}",
            why="Torch computes on every core while the machine is busy with something else, so every step waits.",
            source=SOURCE,
            certainty=Certainty.MEDIUM,
            certainty_reason="load, threads and step times agree",
            changes_mind="A load below the number of cores, or even step times.",
        ),
    )
