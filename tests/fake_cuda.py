"""A CUDA device that is none: tensors lie in main memory and say "cuda:0", and torch.cuda's functions answer for them.

Made to catch what a real GPU would punish, on a machine without one:

* Copies to pinned memory arrive late. Until the stream has got there the memory holds NaN, and an event's `query` tells
  whether it has; so who reads without asking, or asks an event that was recorded on another GPU's stream, reads NaN.
* Which GPU is the current one matters, as in torch: events without a stream are recorded on its stream.
* Memory has an end: tensors are counted in blocks of 512 bytes, and beyond the limit `torch.OutOfMemoryError` comes.
* Every function is called through the signature that it has in the installed torch.

What it does not have: kernels that run beside the host, caching, other processes, memory that autograd saves.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from tests.fake_cuda_stream import Event, Stream

GIB = 1 << 30
BLOCK = 512
T = torch.Tensor
DEVICE = T.device.__get__
SET_DATA = T.data.__set__  # type: ignore[attr-defined]  # a setter, not in the stubs
TO_HOST = frozenset({T.cpu, T.tolist, T.item, T.numpy, T.__bool__, T.__float__, T.__int__, T.nonzero})
"""What waits for the GPU and gives values to the host; all other results of a GPU's tensors are on that GPU."""


class FakeCuda(TorchFunctionMode):
    """While entered, "cuda:N" is there on this thread, N below `count`. `total`: bytes of each GPU."""

    def __init__(self, count: int = 1, total: int = 80 * GIB) -> None:
        super().__init__()
        self.count, self.total = count, total
        self.fraction = 1.0
        self.current = 0
        self.clock_ms = 0.0
        self.waits = 0  # for the GPU, by the host
        self.allocated, self.peak, self.ooms = 0, 0, 0
        self.streams = [Stream() for _ in range(count)]
        self._random = [torch.zeros(16, dtype=torch.uint8) for _ in range(count)]
        self._where = WeakTensorKeyDictionary()
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def work(self, milliseconds: float) -> None:
        """What a kernel does: the GPU's clock goes on."""
        self.clock_ms += milliseconds

    # --- torch.cuda

    def current_stream(self, device: Any = None) -> Stream:
        return self.streams[self._index(device)]

    def set_device(self, device: Any) -> None:
        self.current = self._index(device)

    def get_device_properties(self, device: Any = None) -> Any:
        uuid = f"{self._index(device):08x}-0000-0000-0000-00000000fa6e"
        return SimpleNamespace(name="Fake H100", total_memory=self.total, uuid=uuid)

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return self.total - self.allocated, self.total

    def memory_stats(self, device: Any = None) -> dict[str, Any]:
        return {
            "allocated_bytes.all.current": self.allocated,
            "allocated_bytes.all.peak": self.peak,
            "reserved_bytes.all.current": self.allocated,
            "inactive_split_bytes.all.current": 0,
            "num_alloc_retries": 0,
            "num_ooms": self.ooms,
        }

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        self.peak = self.allocated

    def set_per_process_memory_fraction(self, fraction: float, device: Any = None) -> None:
        assert 0 <= fraction <= 1, "torch raises: fraction out of range"
        self.fraction = fraction

    def get_rng_state(self, device: Any = "cuda") -> torch.Tensor:
        return self._random[self._index(device)].clone()

    def set_rng_state(self, new_state: torch.Tensor, device: Any = "cuda") -> None:
        assert new_state.device.type == "cpu"
        self._random[self._index(device)] = new_state.clone()

    def synchronize(self, device: Any = None) -> None:
        self.waits += 1
        self.current_stream(device).run()

    def _index(self, device: Any) -> int:
        if isinstance(device, int):
            return device
        index = None if device is None else torch.device(device).index
        return self.current if index is None else index

    # --- tensors

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func == DEVICE:
            index = self._where.get(args[0])
            return func(*args, **given) if index is None else torch.device("cuda", index)
        if func is torch.Tensor.is_pinned:
            return getattr(args[0], "fake_pinned", False)
        if func is torch.Tensor.copy_ and args[0] not in self._where and args[1] in self._where:
            assert given.get("non_blocking"), "this copy waits for the GPU"
            return self._copy_later(args[0], args[1])
        if func is torch.Tensor.backward:
            with self:  # so that hooks see the GPU, too
                return torch.autograd.backward(args[0], given.pop("gradient", None), **given)
        if func in TO_HOST and args[0] in self._where:
            self.synchronize(self._where[args[0]])
            return func(*args, **given)
        return self._call(func, args, given)

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        target, args, given = self._target(func, args, given)
        pinned = given.pop("pin_memory", False) or func is torch.Tensor.pin_memory
        given.pop("non_blocking", None)
        result = args[0] if func is torch.Tensor.pin_memory else func(*args, **given)
        if pinned or (target is not None and args and result is args[0] and self._where.get(result, -1) != target):
            result = result.clone()  # torch has not moved it, for it was and is in main memory
        if target != -1:
            self._mark(result, target if target is not None else self._index_of(args))
        if pinned:
            result.fake_pinned = True
        if func == SET_DATA:
            self._mark(args[0], self._where.get(args[1]))
        return result

    def _target(
        self, func: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]
    ) -> tuple[int | None, tuple[Any, ...], dict[str, Any]]:
        """Where a device was asked for: its number, -1 for the host, None where none was; and the call without it."""
        asked = [value for value in (*args[1:], given.get("device")) if _is_device(value)]
        if func is torch.Tensor.cuda:
            return self._index(args[1] if len(args) > 1 else None), args[:1], {}
        if not asked:
            return None, args, given
        device = torch.device(asked[-1])
        host = torch.device("cpu") if device.type == "cuda" else device
        args = tuple(host if _is_device(value) else value for value in args)
        given = {key: host if key == "device" else value for key, value in given.items()}
        return (self._index(device) if device.type == "cuda" else -1), args, given

    def _index_of(self, values: Any) -> int | None:
        for value in values:
            if isinstance(value, torch.Tensor) and value in self._where:
                return int(self._where[value])
            found = self._index_of(value) if isinstance(value, (list, tuple)) else None
            if found is not None:
                return found
        return None

    def _mark(self, result: Any, index: int | None) -> None:
        if index is None:
            return
        if isinstance(result, torch.Tensor):
            self._where[result] = index
            self._count(result)
        elif isinstance(result, (list, tuple)):
            for item in result:
                self._mark(item, index)

    def _copy_later(self, host: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """A copy from a GPU: it arrives when that GPU's stream gets to it."""
        with torch._C.DisableTorchFunction():
            whole = host if host._base is None else host._base
            assert getattr(whole, "fake_pinned", False), "a copy to memory that is not pinned waits for the GPU"
            now = values.detach().clone()
            host.fill_(float("nan"))
        self.streams[self._where[values]].put(lambda: _fill(host, now))
        return host

    def _count(self, tensor: torch.Tensor) -> None:
        with torch._C.DisableTorchFunction():
            if tensor.device.type != "cpu":  # a fake or meta tensor takes no memory
                return
            storage = tensor.untyped_storage()
            size = -(-storage.nbytes() // BLOCK) * BLOCK
        if id(storage) in self._storages:
            return
        if self.allocated + size > self.total * self.fraction:
            self.ooms += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
        key = id(storage)
        self._storages[key] = weakref.ref(storage, lambda _: self._free(key, size))
        self.allocated += size
        self.peak = max(self.peak, self.allocated)

    def _free(self, key: int, size: int) -> None:
        del self._storages[key]
        self.allocated -= size


def _fill(host: torch.Tensor, values: torch.Tensor) -> None:
    with torch._C.DisableTorchFunction():
        host.copy_(values)


def _is_device(value: object) -> bool:
    if isinstance(value, torch.device):
        return True
    return isinstance(value, str) and value.partition(":")[0] in ("cuda", "cpu")


@contextmanager
def fake_cuda(count: int = 1, total: int = 80 * GIB) -> Iterator[FakeCuda]:
    """`with fake_cuda() as cuda:` and torch has GPUs, on the calling thread."""
    cuda = FakeCuda(count, total)
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: count,
        "current_device": lambda: cuda.current,
        "get_device_name": lambda device=None: cuda.get_device_properties(device).name,
        "memory_allocated": lambda device=None: cuda.memory_stats(device)["allocated_bytes.all.current"],
        "max_memory_allocated": lambda device=None: cuda.memory_stats(device)["allocated_bytes.all.peak"],
        "memory_reserved": lambda device=None: cuda.memory_stats(device)["reserved_bytes.all.current"],
        "empty_cache": lambda: None,
        "manual_seed_all": lambda seed: None,
    }
    answers["get_per_process_memory_fraction"] = lambda device=None: cuda.fraction
    own = (
        *("current_stream", "set_device", "synchronize", "get_device_properties", "get_rng_state", "set_rng_state"),
        *("mem_get_info", "memory_stats", "reset_peak_memory_stats", "set_per_process_memory_fraction"),
    )
    answers |= {name: getattr(cuda, name) for name in own}
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, _as_torch_has_it(getattr(torch.cuda, name), answer)))
        stack.enter_context(patch.object(Event, "cuda", cuda, create=True))
        stack.enter_context(patch.object(torch.cuda, "Event", Event))
        stack.enter_context(cuda)
        yield cuda


def _as_torch_has_it(real: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
    """The answer, for calls that the real function would take."""
    signature = inspect.signature(real)

    def call(*args: object, **kwargs: object) -> Any:
        signature.bind(*args, **kwargs)
        return answer(*args, **kwargs)

    return call
