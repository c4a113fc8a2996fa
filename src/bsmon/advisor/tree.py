"""The decision tree, readable top to bottom: C, part 10, "Choosing Batch Size: Decision Tree", with B's and A's rules.

Every question is asked, so that the screen can show every number. The first one that recommends something decides;
the lit path ends there. Unknown is an answer: such a node abstains, and the next one is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bsmon.advisor.building import Reason, advise
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.finding import Finding
from bsmon.advisor.rules.barely_moving import barely_moving
from bsmon.advisor.rules.batchnorm import batchnorm, class_mix
from bsmon.advisor.rules.gap import gap
from bsmon.advisor.rules.memory import memory
from bsmon.advisor.rules.speed import speed
from bsmon.advisor.rules.stability import stability
from bsmon.advisor.rules.threads import threads
from bsmon.advisor.updates_per_epoch import flavour
from bsmon.core.advice import Action, Advice, AdvisorView, Answer, Certainty, TreeNode

Rule = Callable[[Evidence, Limits], Finding]

TREE: tuple[Rule, ...] = (
    # 0. On a CPU, torch on every core beside other work?  Fewer threads, before any advice on batch size.
    threads,
    # 1. Unstable?  NaN, blown up or progress lost: lower the learning rate. Oscillating: a larger batch where noise
    #    is seen to dominate, else a lower learning rate.
    stability,
    # 1b. Loss barely moving?  A smaller batch; where it is small already, another learning rate.
    barely_moving,
    # 2. Slow?  Waits for data: more workers. Otherwise the size of the best goodput, silence where it is flat, and
    #    one step up where the device is idle and goodput is unknown. Too few updates per epoch: a smaller batch.
    speed,
    # 3. Test much worse than train?  Above 32 a smaller batch, at 32 or below regularise first.
    gap,
    # 4. BatchNorm with a micro batch below 16?  A larger micro batch, or another normalisation.
    batchnorm,
    # 4b. Very few classes in a batch?  A larger one.
    class_mix,
    # 5. Memory nearly full?  A smaller micro batch, accumulated more often.
    memory,
)


def assess(evidence: Evidence, limits: Limits) -> AdvisorView:
    """The tree with its numbers, the path taken, and one recommendation; pure."""
    findings = [rule(evidence, limits) for rule in TREE]
    deciding = next((index for index, finding in enumerate(findings) if finding.advice is not None), None)
    nodes: list[TreeNode] = []
    for index, finding in enumerate(findings):
        lit = deciding is None or index <= deciding
        nodes.extend(replace(node, lit=lit) for node in finding.nodes)
    advice = keep(evidence, nodes) if deciding is None else findings[deciding].advice
    return AdvisorView(tree=tuple(nodes), advice=advice, noise_scale=evidence.noise_scale)


def keep(evidence: Evidence, nodes: list[TreeNode]) -> Advice:
    """Nothing asks for a change; says what could not be answered, and what this size buys and costs."""
    size = evidence.batch_size
    unknown = [node.question for node in nodes if node.answer is Answer.UNKNOWN]
    sure = not unknown
    unanswered = f"{len(unknown)} question{'s' if len(unknown) > 1 else ''} cannot be answered yet"
    reason = Reason(
        node="",
        title=f"Keep {size}",
        why=f"{size} is fine ({flavour(size, evidence.dataset_size)}); your learning rate matters more.",
        source="B section 5, C part 11",
        certainty=Certainty.HIGH if sure else Certainty.LOW if len(unknown) > len(nodes) / 2 else Certainty.MEDIUM,
        certainty_reason="every question is answered" if sure else unanswered,
        changes_mind="A yes to any question above.",
    )
    return advise(evidence, reason, Action.KEEP)
