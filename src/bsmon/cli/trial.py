"""What `bsmon lr-find` and `bsmon sweep` share: a config's task, built for short trainings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bsmon.core.errors import BadInput

if TYPE_CHECKING:
    from bsmon.cli.progress import Progress
    from bsmon.engine.build import Parts


def built(path: Path, overrides: Sequence[str], progress: Progress) -> Parts:
    """The parts of the config's training. Imports torch and the config's own code. Raises BadInput."""
    from bsmon.config.load import load

    config = load(path, overrides)
    progress.tell("importing torch")
    from bsmon.engine.build import build

    return build(config, progress.tell)


def check_sizes(path: Path, sizes: Sequence[int], parts: Parts) -> None:
    """Raise BadInput, before anything is trained, where a batch would be larger than the training set."""
    samples = parts.info.train_samples or 0
    if max(sizes) > samples:
        raise BadInput(f"{path}: a batch of {max(sizes):,} is more than the {samples:,} training samples")
