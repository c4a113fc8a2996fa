"""What an advisor might say, as snapshots hold it."""

from __future__ import annotations

from bsmon.core.advice import (
    Action,
    Advice,
    Answer,
    Certainty,
    Prediction,
    Reading,
    TreeNode,
)

GIB = 2**30


ADVICE = Advice(
    action=Action.BATCH,
    title="Larger batch",
    why="The steps are short and the gradient is mostly noise, so that a larger batch makes more progress a second.",
    node="slow",
    source="C part 10",
    batch_size=32,
    new_batch_size=128,
    learning_rate=1.41e-3,
    new_learning_rate=2.41e-3,
    learning_rate_rule="gain",
    certainty=Certainty.MEDIUM,
    certainty_reason="48 probes; three batch sizes timed",
    prediction=Prediction(int(0.9 * GIB), 17_300.0, 0.78, 0.61),
    changes_mind="a noise scale below 60, or more than 10 % of the step waiting for data",
)


REASONS = "A larger batch averages more samples, so its gradient is steadier, and each update costs more."


def tree() -> tuple[TreeNode, ...]:
    """The path so far: stable, slow, not for want of data."""

    def node(
        question: str, answer: Answer, verdict: str, *readings: Reading, depth: int = 0, lit: bool = True
    ) -> TreeNode:
        return TreeNode(question.lower(), question, answer, readings, verdict, lit, depth, "C part 10", REASONS)

    rise = Reading("rise", 0.4, "z", ">=", 4.0), Reading("spikes", 0.0)
    return (
        node("Is training unstable?", Answer.NO, "continue", *rise),
        node("Is training too slow?", Answer.YES, "look at the device", Reading("cores busy", 61.0, "%", "<", 70.0)),
        node("Does it wait for data?", Answer.NO, "larger batch", Reading("waits", 2.0, "%", ">=", 20.0), depth=1),
        node(
            "Is validation much worse than training?", Answer.NO, "good", Reading("gap", 1.2, "%", ">=", 5.0), lit=False
        ),
        node(
            "Batch normalisation?", Answer.YES, "micro batch >= 16", Reading("micro batch", 32, "", ">=", 16), lit=False
        ),
        node("Is memory the limit?", Answer.UNKNOWN, "", Reading("peak", None, "bytes"), lit=False),
    )
