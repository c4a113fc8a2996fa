"""The two top lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bsmon.ui.panels.header import Header
from bsmon.ui.view import View
from tests import fakes


@pytest.mark.parametrize(
    ("samples", "shown"), [(0, " 0 %"), (1, "<1 %"), (99, "<1 %"), (100, " 1 %"), (9999, " 99 %"), (10_000, "100 %")]
)
def test_100_percent_is_for_the_end_and_0_for_the_beginning(samples: int, shown: str) -> None:
    snapshot = fakes.training()
    progress = replace(snapshot.progress, samples=samples, total_samples=10_000)
    _, second = Header({}, id="header").rows(View(replace(snapshot, progress=progress)), 120, 2)
    assert shown in "".join(part for part, _ in second)
