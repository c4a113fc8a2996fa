"""Sizes in bytes as people write them."""

from __future__ import annotations

import re

from bsmon.core.errors import BadInput

SIZE_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,15})? ?([KMGT]i?)?B\Z"
_STEPS = "KMGT"


def parse_bytes(text: str) -> int:
    """Bytes of a size such as "6GiB" (6 x 1024^3) or "500 MB" (500 x 1000^2); rounded down.

    Raises BadInput for anything else.
    """
    if not re.match(SIZE_PATTERN, text):
        raise BadInput(f'"{text}" is no size: give a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB, like "6GiB"')
    number, unit = re.split(r"(?<=[0-9]) ?(?=[A-Z])", text)
    base = 1024 if "i" in unit else 1000
    power = _STEPS.index(unit[0]) + 1 if unit != "B" else 0
    return int(float(number) * base**power)
