"""Pictures of the screen that must not change by accident; `pytest tests/app --snapshot-update` accepts new ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bsmon.core.snapshot import Snapshot
from bsmon.ui.app import BsmonApp
from bsmon.ui.themes import load_theme
from tests import fakes


@pytest.mark.parametrize(
    ("scene", "size"),
    [
        (fakes.with_advice, (80, 24)),
        (fakes.with_advice, (120, 40)),
        (fakes.on_gpu, (120, 40)),
        (fakes.failed, (80, 24)),
    ],
    ids=["advice-80x24", "advice-120x40", "gpu-120x40", "failed-80x24"],
)
def test_picture(snap_compare: Callable[..., bool], scene: Callable[[], Snapshot], size: tuple[int, int]) -> None:
    app = BsmonApp(fakes.FakeSession(scene()), theme=load_theme("night"))
    assert snap_compare(app, terminal_size=size)
