"""A compiled model serves every batch size with one graph, and says when it compiles."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bsmon.core.commands import SetBatchSize
from bsmon.core.records import EventKind
from tests.unit.engine.harness import play
from tests.unit.measurements.real_run import config_for


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_one_graph_for_all_sizes(tmp_path: Path) -> None:
    config = config_for(batch=16, epochs=6)
    compiled = type(config)(
        **{name: getattr(config, name) for name in config.__struct_fields__ if name != "run"},
        run=type(config.run)(seed=3, epochs=6, device="cpu", threads=1, compile=True),
    )
    played = play(compiled, tmp_path, [(4, SetBatchSize(32)), (8, SetBatchSize(20))])
    news = [text for text in played.recorder.texts(EventKind.RUN) if "compiled" in text]
    assert len(news) == 1, news
    assert {16, 32, 20} <= {step.batch_size for step in played.recorder.steps_made}
