"""Cheap copies taken before each update, so that one that ran out of memory can be made again, bit for bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class StepKeeper:
    """Keeps what forward, backward and a fused optimizer step change besides gradients and weights.

    That is: the random generators' states (dropout), the buffers (BatchNorm's running statistics), the optimizer's
    step counters and the loss scale. Weights are not copied: nothing before the optimizer's step changes them, and a
    fused step changes them in one operator or not at all.
    """

    def __init__(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None
    ) -> None:
        self._optimizer = optimizer
        self._scaler = scaler
        self._buffers = [buffer for buffer in model.buffers() if buffer.numel()]
        self._kept_buffers = [buffer.clone() for buffer in self._buffers]
        self._cuda = next((p.device for p in model.parameters() if p.device.type == "cuda"), None)
        self._random = torch.get_rng_state()
        self._cuda_random: Tensor | None = None
        self._known: frozenset[Any] = frozenset()
        self._counters: list[Tensor] = []
        self._kept_counters: list[Tensor] = []
        self._scale: Tensor | None = None
        optimizer.register_load_state_dict_post_hook(self._forget_counters)

    @property
    def optimizer_is_atomic(self) -> bool:
        """Whether an optimizer step changes all weights in one operator or none, so that it can be made again."""
        return all(group.get("fused") for group in self._optimizer.param_groups)

    def keep(self) -> None:
        """Copy what stands now, before an update."""
        self._random = torch.get_rng_state()
        if self._cuda is not None:
            self._cuda_random = torch.cuda.get_rng_state(self._cuda)
        if self._buffers:
            torch._foreach_copy_(self._kept_buffers, self._buffers)
        if len(self._optimizer.state) != len(self._known):
            self._learn_counters()
        if self._counters:
            torch._foreach_copy_(self._kept_counters, self._counters)
        if self._scaler is not None and self._scaler._scale is not None:
            self._scale = self._scaler._scale.clone()

    def restore_before_gradients(self) -> None:
        """Put back what forward and backward changed, and drop the gradients."""
        self._optimizer.zero_grad(set_to_none=True)
        torch.set_rng_state(self._random)
        if self._cuda is not None and self._cuda_random is not None:
            torch.cuda.set_rng_state(self._cuda_random, self._cuda)
        with torch.no_grad():
            if self._buffers:
                torch._foreach_copy_(self._buffers, self._kept_buffers)
        if self._scaler is not None and self._scale is not None:
            # Also forgets that this update's gradients were unscaled already.
            self._scaler.update(self._scale.clone())

    def restore_before_weights(self) -> None:
        """Put back what a half-made fused optimizer step changed: counters, and state it had begun to build."""
        for parameter in [p for p in self._optimizer.state if p not in self._known]:
            del self._optimizer.state[parameter]
        if self._counters:
            torch._foreach_copy_(self._counters, self._kept_counters)

    def _forget_counters(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer has a loaded state, which is made of other tensors."""
        del optimizer
        self._known, self._counters, self._kept_counters = frozenset(), [], []

    def _learn_counters(self) -> None:
        """Look up the step counters again; the optimizer builds its state in its first steps."""
        state = self._optimizer.state
        self._known = frozenset(state)
        steps = [entry["step"] for entry in state.values() if isinstance(entry.get("step"), Tensor)]
        self._counters = steps
        self._kept_counters = [step.clone() for step in steps]
