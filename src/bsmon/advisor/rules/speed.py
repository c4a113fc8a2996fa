"""Is training slow, does a larger batch help, and how far: C, part 10 and part 8, with goodput for the distance."""

from __future__ import annotations

from bsmon.advisor.bounds import Bounds, bounds, worthwhile
from bsmon.advisor.building import Reason, advise, change_batch
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding, above, any_yes, below, node
from bsmon.advisor.goodput import LEAST_MOVE
from bsmon.advisor.rules.distance import Distance, farthest
from bsmon.advisor.rules.gap import has_gap
from bsmon.advisor.updates_per_epoch import GOOD, OK, UpdatesVerdict, updates_verdict
from bsmon.advisor.updates_per_epoch import SOURCE as UPDATES_SOURCE
from bsmon.core.advice import Advice, Certainty, Reading, TreeNode

# The documents say "low utilisation" and give no number.
LOW_UTILISATION = 60.0  # percent
MOSTLY_FIXED = 0.5  # share of a step that does not depend on the batch size
WAITS_FOR_DATA = 0.3  # share of a step
STEADY_UTILISATION_CAP = 128  # C part 10 goes up to 128; beyond it only a measured noise scale leads


def speed(evidence: Evidence, limits: Limits) -> Finding:
    """Node 2, with data, critical batch size, updates per epoch and goodput under it."""
    waits = above(evidence.data_wait_share, WAITS_FOR_DATA)
    idle = underused(evidence)
    within = bounds(evidence, limits)
    sensible = worthwhile(evidence, within) if within is not None else None
    far = farthest(evidence, within) if within is not None else None
    nodes = (
        _speed_node(evidence, idle),
        _data_node(evidence, waits),
        _critical_node(evidence),
        _updates_node(evidence),
        _goodput_node(evidence, far),
    )
    if waits:
        return Finding(nodes, advise(evidence, _feed(evidence)) if idle is not False else None)
    if far is not None:
        return Finding(nodes, _follow_goodput(evidence, far))
    return Finding(nodes, _more_updates(evidence, within) or _one_step_up(evidence, idle, sensible))


def underused(evidence: Evidence) -> bool | None:
    """Whether the device has room: low utilisation, or a step that is mostly fixed cost (for a CPU, too)."""
    return any_yes(
        below(evidence.gpu_utilisation_percent, LOW_UTILISATION), above(_fixed_share(evidence), MOSTLY_FIXED)
    )


def _fixed_share(evidence: Evidence) -> float | None:
    fit = evidence.step_time
    return None if fit is None else fit.fixed_share(evidence.micro_batch_size * evidence.world_size)


def _speed_node(evidence: Evidence, idle: bool | None) -> TreeNode:
    fixed = _fixed_share(evidence)
    return node(
        "speed",
        "Is training slow for its hardware (low utilisation)?",
        idle,
        {None: "utilisation unknown", True: "a larger batch may be nearly free", False: "well used: keep"}[idle],
        (
            Reading("GPU utilisation", evidence.gpu_utilisation_percent, "%", "<", LOW_UTILISATION),
            Reading("fixed cost of a step", None if fixed is None else 100 * fixed, "%", ">", 100 * MOSTLY_FIXED),
        ),
        source="C part 10, B section 5",
    )


def _data_node(evidence: Evidence, waits: bool | None) -> TreeNode:
    share = evidence.data_wait_share
    return node(
        "data_wait",
        "Does it wait for data?",
        waits,
        {None: "not measured", True: "feed it faster first", False: "no"}[waits],
        (Reading("waiting for data", None if share is None else 100 * share, "%", ">", 100 * WAITS_FOR_DATA),),
        source="C part 10",
        depth=1,
    )


def _critical_node(evidence: Evidence) -> TreeNode:
    scale = evidence.noise_scale
    if scale.value is not None:
        beyond: bool | None = evidence.batch_size > scale.value
    else:
        beyond = False if scale.low is not None and evidence.batch_size < scale.low else None
    verdict = {None: scale.reason or "noise scale unknown", True: "a larger batch buys little", False: "room to grow"}
    return node(
        "critical_batch",
        "Beyond the critical batch size?",
        beyond,
        verdict[beyond],
        (
            Reading("batch size", evidence.batch_size, "", ">", scale.value),
            Reading("noise scale, at least", scale.low),
            Reading("noise scale, at most", scale.high),
        ),
        source="C part 8",
        depth=1,
    )


def _updates_node(evidence: Evidence) -> TreeNode:
    size = evidence.dataset_size
    verdict = None if size is None else updates_verdict(size, evidence.batch_size)
    few = None if verdict is None else verdict in (UpdatesVerdict.MARGINAL, UpdatesVerdict.TOO_FEW)
    return node(
        "updates_per_epoch",
        "Too few updates per epoch?",
        few,
        "data set size unknown" if verdict is None else verdict.value,
        (Reading("updates per epoch", None if size is None else size / evidence.batch_size, "", "<", OK),),
        source=UPDATES_SOURCE,
        depth=1,
    )


def _goodput_node(evidence: Evidence, far: Distance | None) -> TreeNode:
    times = None if far is None else far.size / evidence.batch_size
    moves = None if far is None else far.worth_it
    gain = None if far is None else 100 * (1 - far.relative_time)
    verdict = "flat: learning rate matters more" if far is None or not far.worth_it else f"{far.size} is faster"
    return node(
        "goodput",
        "Is the best size a factor of two away?",
        moves,
        "needs two sizes run, and a noise scale" if far is None else verdict,
        (
            Reading("best size over present", times, "x"),
            Reading("factor either way", None if times is None else max(times, 1 / times), "x", ">=", LEAST_MOVE),
            Reading("less time to the same progress", gain, "%"),
        ),
        source="C part 8, B section 5",
        depth=1,
    )


def _follow_goodput(evidence: Evidence, far: Distance) -> Advice | None:
    """The size of the best goodput; but no larger batch while validation is worse than training."""
    if not far.worth_it or (far.size > evidence.batch_size and has_gap(evidence)):
        return None
    return change_batch(evidence, _by_goodput(evidence, far), far.size)


def _more_updates(evidence: Evidence, within: Bounds | None) -> Advice | None:
    """A smaller batch where an epoch has too few updates and nothing is measured that says otherwise."""
    size = evidence.dataset_size
    if size is None or within is None or updates_verdict(size, evidence.batch_size) is not UpdatesVerdict.TOO_FEW:
        return None
    smaller = [other for other in within.sizes() if other <= evidence.batch_size / LEAST_MOVE]
    enough = [other for other in smaller if other <= size / GOOD] or smaller[:1]
    reason = Reason(
        node="updates_per_epoch",
        title="Smaller batch",
        why=f"{size / evidence.batch_size:.1f} updates per epoch are too few to learn much in one.",
        source=UPDATES_SOURCE,
        certainty=Certainty.LOW,
        certainty_reason="a rule of thumb; noise scale or step times at other sizes not known",
        changes_mind="A noise scale well above the batch size.",
    )
    return change_batch(evidence, reason, enough[-1]) if enough else None


def _one_step_up(evidence: Evidence, idle: bool | None, sensible: Bounds | None) -> Advice | None:
    """Nothing is known of what a sample is worth: the documents' tree alone, one careful step."""
    if not idle or sensible is None or has_gap(evidence):
        return None
    most = min(2 * evidence.batch_size, STEADY_UTILISATION_CAP)
    sizes = [size for size in sensible.sizes() if LEAST_MOVE * evidence.batch_size <= size <= most]
    beyond = evidence.noise_scale.high is not None and evidence.noise_scale.high < evidence.batch_size
    if not sizes or beyond:
        return None
    reason = Reason(
        node="speed",
        title="Larger batch",
        why="The device is poorly used, so that a larger batch costs little more time.",
        source="C part 10, B section 5",
        certainty=Certainty.LOW,
        certainty_reason="noise scale or step times at other sizes not known",
        changes_mind="A noise scale below the batch size.",
    )
    return change_batch(evidence, reason, sizes[-1])


def _feed(evidence: Evidence) -> Reason:
    return Reason(
        node="data_wait",
        title="Feed the data faster",
        why=f"{100 * (evidence.data_wait_share or 0):.0f} % of each step waits for data, and a larger batch would wait "
        "as long: more worker processes, pinned memory.",
        source="C part 10",
        certainty=Certainty.HIGH,
        certainty_reason="measured in the training loop",
        changes_mind=f"Waiting below {100 * WAITS_FOR_DATA:.0f} % of the step.",
    )


def _by_goodput(evidence: Evidence, far: Distance) -> Reason:
    larger = far.size > evidence.batch_size
    at_least = "at least " if evidence.noise_scale.value is None else ""
    saved = f"{at_least}{100 * (1 - far.relative_time):.0f} % less time to the same progress"
    why = (
        f"Fewer, fuller steps save their fixed cost: {saved}.{_marginal(evidence, far)}"
        if larger
        else f"Beyond what the gradient noise needs, samples are wasted: {saved}."
    )
    source = ("C part 10, C part 8" if larger else "C part 8") + (f", {UPDATES_SOURCE}" if far.marginal else "")
    changes_mind = "The noise scale changes while training goes on; this is looked at again all the time."
    return Reason(
        node="goodput",
        title="Larger batch" if larger else "Smaller batch",
        why=why,
        source=source,
        certainty=far.certainty,
        certainty_reason=far.certainty_reason,
        changes_mind=changes_mind if not far.marginal else f"Validation worse than training. {changes_mind}",
    )


def _marginal(evidence: Evidence, far: Distance) -> str:
    """What is said of a size beyond those that document A calls OK; "" for any other."""
    if not far.marginal or evidence.dataset_size is None:
        return ""
    updates = evidence.dataset_size / far.size
    return f" {updates:.1f} updates per epoch are marginal; measured gradient noise says the larger batch still pays."
