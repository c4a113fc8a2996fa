"""Keeps an extra backward from leaving a trace in the training."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor


class Untouched:
    """`with guard:` puts random number generators back, and the first time the buffers.

    A backward neither draws numbers nor writes buffers, unless the model recomputes its forward in it (activation
    checkpoints) or has a backward of its own. Buffers are kept only the first time: it shows whether it does.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._first = True
        self._host = torch.empty(0)
        self._device: list[tuple[torch.device, Tensor]] = []
        self._kept: list[tuple[Tensor, Tensor, int]] = []
        self.reason = ""
        """Why the extra backward must not be run again; "" while it may."""

    def __enter__(self) -> Untouched:
        self._host = torch.get_rng_state()
        devices = {p.device for p in self._model.parameters() if p.device.type == "cuda"}
        self._device = [(device, torch.cuda.get_rng_state(device)) for device in devices]
        if self._first:
            self._kept = [(b, b.detach().clone(), b._version) for b in self._model.buffers()]
            self._first = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        torch.set_rng_state(self._host)
        for device, state in self._device:
            torch.cuda.set_rng_state(state, device)
        for buffer, before, version in self._kept:
            if buffer._version != version:
                self.reason = "the model changes its buffers in the backward"
            # All of them, because BatchNorm's kernel writes its running statistics without counting a version. Through
            # .data, because autograd would refuse a buffer that was changed under its saved version.
            buffer.data.copy_(before)
        self._kept = []
