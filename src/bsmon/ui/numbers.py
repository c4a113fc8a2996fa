"""Numbers as a person reads them. Unknown is "n/a", never 0."""

from __future__ import annotations

import math

UNKNOWN = "n/a"
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def count(value: int | None) -> str:
    """A whole number in full: 10,080."""
    return UNKNOWN if value is None else f"{value:,}"


def compact(value: float | None) -> str:
    """Three significant digits with an SI letter: 950, 12.4k, 1.20M."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    if abs(value) >= 1e15:
        return _scientific(value, 2)
    for scale, letter in _SI:
        if abs(value) >= scale * 0.9995:
            return _three(value / scale) + letter
    return str(int(value)) if value == int(value) else _three(value)


def number(value: float | None) -> str:
    """Three significant digits: 0.231, 12.3, 1,234, and 1.23e-5 where zeros would hide them."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.01 or size >= 1e5:
        return _scientific(value, 2)
    return _three(value)


def learning_rate(value: float | None) -> str:
    """A learning rate, short: 1e-3, 2.83e-3, 0.1."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    return _scientific(value, 2, trim=True)


def size(value: float | None) -> str:
    """Bytes in binary units: 6.10 GiB, 512 MiB, 0 B."""
    if value is None or not math.isfinite(value):
        return _odd(value)
    for scale, unit in _BINARY:
        if abs(value) >= scale:
            return f"{_three(value / scale)} {unit}"
    return f"{int(value)} B"


def size_in(value: float | None, of: float | None) -> str:
    """`value` in the unit that `of` would be shown in, without the unit: the left half of "6.10 of 24.0 GiB"."""
    if value is None or of is None:
        return size(value)
    scale = next((scale for scale, _ in _BINARY if abs(of) >= scale), 1)
    shown = value / scale
    return f"{shown:.{2 if shown < 10 else 1 if shown < 100 else 0}f}" if value else "0"


def duration(seconds: float | None) -> str:
    """0:41, 1:02:03, 2 d 03:04."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def interval(seconds: float | None) -> str:
    """A step's length: 830 us, 12.3 ms, 1.20 s."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds >= 1:
        return f"{_three(seconds)} s"
    return f"{_three(seconds * 1e3)} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def percent(value: float | None) -> str:
    """A value already in percent, 0..100: 31 %; "<1 %" for what is little but not nothing."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return "<1 %" if 0 < value < 0.5 else f"{value:.0f} %"


def share(value: float | None) -> str:
    """A share 0..1 as a percentage."""
    return percent(None if value is None else value * 100)


def _odd(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _three(value: float) -> str:
    """Three significant digits, all of them shown, so that a changing number keeps its width."""
    shown = abs(value)
    digits = 0 if shown >= 99.95 else 1 if shown >= 9.995 else 2 if shown >= 0.9995 else 3
    if 0 < shown < 0.09995:
        digits = 2 - math.floor(math.log10(shown))
    return f"{value:,.{min(digits, 6)}f}"


def _scientific(value: float, digits: int, *, trim: bool = False) -> str:
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    if trim and "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"
