"""Two processes that resume one run at once."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bsmon.cli import setup
from bsmon.core.errors import BadInput
from bsmon.store.run_dir import RunDir
from bsmon.store.runs import Standing, standing

CONFIG = '[data]\ntask = "digits"\n[model]\nname = "mlp"\n'
_MEETING_S = 0.3


def test_only_one_of_two_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    run = RunDir.create(tmp_path / "runs", "tried", datetime.now(UTC), config=CONFIG.encode(), about={})
    run.update(status="stopped")
    both = threading.Barrier(2)

    def looked(found: RunDir) -> Standing:
        """Give the other time to look before either writes: without a lock both see that nobody trains the run."""
        seen = standing(found)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(_MEETING_S)
        return seen

    monkeypatch.setattr(setup, "standing", looked)
    ends: list[str] = []

    def resume() -> None:
        try:
            setup.prepare(config, [], str(run.path), None)
            ends.append("trains")
        except BadInput as refused:
            ends.append(str(refused))

    threads = [threading.Thread(target=resume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 2
    assert "trains" in ends
    assert any("is still training" in end for end in ends)
