"""What looks at a training while it runs, as far as the session reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Probes(Protocol):
    """The gradient probes, read and switched from another thread."""

    wants_layers: bool

    @property
    def cost_share(self) -> float | None:
        """Share of the training time that measuring took, 0..1."""
        ...

    @property
    def failure(self) -> str:
        """Why nothing is measured any more; "" while all is well."""
        ...

    @property
    def noise_reason(self) -> str:
        """Why the noise scale is not known, or has no better estimator; "" where nothing is in its way."""
        ...


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of one run. Everything here may be called from any thread."""

    device: str
    device_uuid: str | None
    time_shares: Callable[[], Mapping[str, float] | None]  # phase -> 0..1 of a step's time
    probes: Probes
    data_paths: Sequence[str] = ()  # that the training data are read from, where that is known
    other_devices: Sequence[tuple[str | None, str]] = ()  # UUID and name of the other ranks' GPUs
