"""The guidelines' checklist, "Training issues? Check:" (C, part 11), as it stands while the run trains."""

from __future__ import annotations

from bsmon.advisor.checks import CHECKLIST, Setup, check
from bsmon.advisor.evidence import Evidence
from bsmon.config.schema import Config, LongTailData
from bsmon.core.advice import Answer, Box, TreeNode


def checklist(config: Config, evidence: Evidence, tree: tuple[TreeNode, ...], sizes_run: int) -> tuple[Box, ...]:
    """The ten boxes, in the document's order. `sizes_run`: how many batch sizes the run has trained with."""
    # A schedule moves the learning rate for reasons of its own, and only the whole rate is known here.
    is_constant = config.schedule.name == "constant" and not config.schedule.warmup_epochs
    setup = Setup(
        dataset_size=evidence.dataset_size,
        batch_size=evidence.batch_size,
        micro_batch_size=evidence.micro_batch_size,
        learning_rate=evidence.learning_rate if is_constant else None,
        optimizer=config.optimizer.name,
        has_batchnorm=evidence.has_batchnorm,
        shuffle=config.train.shuffle,
        weighted_sampler=isinstance(config.data, LongTailData) and config.data.weighted,
        drop_last=config.train.drop_last,
        base_batch_size=config.batch.size,
        base_learning_rate=config.optimizer.lr,
        health=evidence.health,
        gradient_norms_usual=_usual(tree),
        sizes_run=sizes_run,
    )
    found = {one.id: one for one in check(setup)}
    boxes = (found[name] for name in CHECKLIST)
    return tuple(Box(one.title, one.outcome.value, one.found, one.change, one.source) for one in boxes)


def _usual(tree: tuple[TreeNode, ...]) -> bool | None:
    answer = next((node.answer for node in tree if node.id == "norms"), Answer.UNKNOWN)
    return None if answer is Answer.UNKNOWN else answer is Answer.NO
