"""All GPUs of the machine through NVML. Raises only GpusUnavailable; anything less is a None with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pynvml

from bsmon.core.records import GpuSample
from bsmon.telemetry.gpu_protocol import GpusUnavailable
from bsmon.telemetry.nvml_errors import FAILURES, Cells, Implausible, code_of, sentence, text_from
from bsmon.telemetry.nvml_gpu import Identity, read_gpu, read_mig_slice
from bsmon.telemetry.visible_devices import same_uuid

_RENEW_S = 10.0
"""How often at most NVML is initialised anew to find a lost GPU again; that can take the driver seconds."""


class Nvml:
    """NVML, initialised. One thread uses it; any call may hang or crash, so it lives in a process of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises GpusUnavailable when NVML cannot be initialised."""
        self._clock = clock
        self._identities: dict[int, Identity] = {}
        self._lost = False
        self._renewed_at = clock()
        self.driver = ""
        self._initialise()

    def read(self, own_uuid: str = "") -> tuple[GpuSample, ...]:
        """One sample a GPU and a MIG slice, in NVML's order.

        Raises GpusUnavailable when the driver does not even say how many there are; reading goes on only with a new
        process, for a library that does not match the driver stays loaded.
        """
        if self._lost and self._clock() - self._renewed_at >= _RENEW_S:
            self._renew()
        self._lost = False
        try:
            count = pynvml.nvmlDeviceGetCount()
        except FAILURES as error:
            raise GpusUnavailable(f"NVML failed: {sentence(error)}") from error
        return tuple(sample for index in range(count) for sample in self._read_index(index, own_uuid))

    def _initialise(self) -> None:
        try:
            pynvml.nvmlInit()
        except FAILURES as error:
            absent = code_of(error) == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
            raise GpusUnavailable(sentence(error), absent=absent) from error
        self.driver = Cells().read("driver", lambda: text_from(pynvml.nvmlSystemGetDriverVersion)) or ""

    def _renew(self) -> None:
        """Handles of a lost GPU stay dead until NVML is initialised anew."""
        self._renewed_at = self._clock()
        self._identities.clear()
        Cells().read("shutdown", pynvml.nvmlShutdown)
        self._initialise()

    def _read_index(self, index: int, own_uuid: str) -> Iterator[GpuSample]:
        cells = Cells()
        handle = cells.read("gpu", lambda: _checked(pynvml.nvmlDeviceGetHandleByIndex(index)))
        if handle is None:
            known = self._identities.get(index, Identity(index, "", f"GPU {index}"))
            yield GpuSample(index=index, uuid=known.uuid, name=known.name, reasons=cells.reasons)
        else:
            identity = self._identify(index, handle, cells)
            own = same_uuid(identity.uuid, own_uuid)
            sliced = _is_sliced(handle)
            yield replace(read_gpu(handle, identity, cells, own=own, sliced=sliced), reasons=cells.reasons)
            if sliced:
                yield from self._mig_slices(handle, identity)
        self._lost = self._lost or cells.lost

    def _identify(self, index: int, handle: Any, cells: Cells) -> Identity:
        if index in self._identities:
            return self._identities[index]
        uuid = cells.read("uuid", lambda: text_from(lambda: pynvml.nvmlDeviceGetUUID(handle)))
        name = cells.read("name", lambda: text_from(lambda: pynvml.nvmlDeviceGetName(handle)))
        identity = Identity(index, uuid or "", name or f"GPU {index}")
        if uuid and name:
            self._identities[index] = identity
        return identity

    def _mig_slices(self, parent: Any, identity: Identity) -> Iterator[GpuSample]:
        slots = Cells().read("mig", lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(parent)) or 0
        for slot in range(slots):
            cells = Cells()
            handle = cells.read("mig", partial(_mig_handle, parent, slot))
            if handle is not None:
                yield self._mig_slice(handle, identity, slot, cells)

    def _mig_slice(self, handle: Any, parent: Identity, slot: int, cells: Cells) -> GpuSample:
        uuid = cells.read("uuid", lambda: text_from(lambda: pynvml.nvmlDeviceGetUUID(handle)))
        name = cells.read("name", lambda: text_from(lambda: pynvml.nvmlDeviceGetName(handle)))
        identity = Identity(parent.index, uuid or "", name or f"{parent.name} MIG {slot}")
        return replace(read_mig_slice(handle, identity, cells), reasons=cells.reasons)


def _is_sliced(handle: Any) -> bool:
    mode = Cells().read("mig", lambda: pynvml.nvmlDeviceGetMigMode(handle))
    return mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def _mig_handle(parent: Any, slot: int) -> Any:
    return _checked(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, slot))


def _checked(handle: Any) -> Any:
    """A null handle crashes the library at the next call: never pass one on."""
    if not handle:
        raise Implausible("the driver gave no handle")
    return handle
