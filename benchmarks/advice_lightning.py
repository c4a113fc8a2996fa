"""What Lightning's BatchSizeFinder says. Needs `lightning` beside bsmon, in an environment of its own; see advice.md.

Nothing runs out of memory on a CPU, so the largest size that fits is made up here: a larger batch raises what a full
GPU would.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bsmon.engine.build import Parts
from bsmon.engine.feed import load_batch


def is_installed() -> bool:
    """Whether the real one can be asked."""
    return importlib.util.find_spec("lightning") is not None


class Indices(Dataset[int]):
    """The numbers of the training samples: a batch is fetched by bsmon's own code."""

    def __init__(self, samples: int) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> int:
        return index


def find(parts: Parts, largest: int) -> tuple[int, float]:
    """The size that BatchSizeFinder finds in mode "power", as it is by default, and the CPU seconds that it took."""
    lightning: Any = importlib.import_module("lightning.pytorch")
    tuner: Any = importlib.import_module("lightning.pytorch.tuner")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")

    class Module(lightning.LightningModule):  # type: ignore[misc]  # its base class is not installed here
        def __init__(self) -> None:
            super().__init__()
            self.batch_size = 2
            self.model = parts.model

        def training_step(self, indices: Tensor, _number: int) -> Tensor:
            if len(indices) > largest:
                raise RuntimeError("CUDA out of memory. Made up: the largest that fits")
            return parts.objective(self.model, load_batch(parts.data.train, indices))[0]

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return parts.optimizer

        def train_dataloader(self) -> DataLoader[int]:
            return DataLoader(Indices(parts.info.train_samples or 0), batch_size=self.batch_size, shuffle=True)

    trainer = lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    began = time.thread_time()
    # The tuner adds the BatchSizeFinder, lets it run, and ends before the training would begin.
    found = tuner.Tuner(trainer).scale_batch_size(Module(), mode="power")
    return int(found), time.thread_time() - began
