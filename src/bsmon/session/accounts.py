"""Where the time goes and what was measured at each batch size: taken from the instruments once a second."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from bsmon.core.happenings import Accounted
from bsmon.core.snapshot import MeasuredSize
from bsmon.session.findings import Findings
from bsmon.session.instruments import Instruments
from bsmon.session.pace import Pace

_SHARE_DECIMALS = 3  # the screen shows whole per cent
_SIZE_DIGITS = 3


def account_of(findings: Findings, instruments: Instruments | None) -> Accounted:
    """How it stands now; the instruments are not there yet while the run is being built."""
    findings.sum_up_sizes()
    if instruments is None:
        return Accounted(sizes=findings.sizes)
    return Accounted(instruments.time_shares() or {}, instruments.probes.cost_share, findings.sizes)


def joined(former: Accounted, account: Accounted) -> Accounted:
    """The account, and of the former one the sizes that it does not have; smallest size first."""
    known = {size.batch_size: size for size in (*former.sizes, *account.sizes)}
    return dataclasses.replace(account, sizes=tuple(known[size] for size in sorted(known)))


def data_wait_share(account: Accounted, pace: Pace) -> float | None:
    """Share of a step's time in which training waited for data, 0 to 1: one number for screen and advisor.

    The step timer's: on a GPU it is what the GPU waited for, where the host runs ahead. The host's until that is there.
    """
    return account.time_shares.get("data_wait", pace.data_wait_share)


class AccountNews:
    """What of one account after the other is worth a line of the journal: what changed, as finely as it is shown."""

    def __init__(self) -> None:
        self._shares: Mapping[str, float] = {}
        self._cost: float | None = None
        self._sizes: dict[int, MeasuredSize] = {}

    def of(self, account: Accounted) -> Accounted | None:
        """The account rounded, of the sizes those that changed; None where all is as it was."""
        shares = {phase: round(share, _SHARE_DECIMALS) for phase, share in account.time_shares.items()}
        cost = account.probes_cost_share
        cost = round(cost, _SHARE_DECIMALS) if cost is not None else None
        sizes = [_rounded(size) for size in account.sizes]
        changed = tuple(size for size in sizes if self._sizes.get(size.batch_size) != size)
        if shares == self._shares and cost == self._cost and not changed:
            return None
        self._shares, self._cost = shares, cost
        self._sizes |= {size.batch_size: size for size in changed}
        return Accounted(shares, cost, changed)


def _rounded(size: MeasuredSize) -> MeasuredSize:
    return MeasuredSize(
        size.batch_size, _short(size.step_s), _short(size.gradient_variance), _short(size.sample_variance)
    )


def _short(value: float | None) -> float | None:
    return float(f"{value:.{_SIZE_DIGITS}g}") if value is not None and math.isfinite(value) else None
