"""Make docs/screen.svg: the real screen over a real training, with two batch changes. `make screenshot`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from datetime import datetime
from pathlib import Path

from bsmon.config.load import load
from bsmon.core.commands import ScaleBatchSize, Stop
from bsmon.session.live import LiveSession
from bsmon.session.training import Training, make_sampler
from bsmon.store.run_dir import RunDir
from bsmon.ui.app import BsmonApp
from bsmon.ui.themes import load_theme

ROOT = Path(__file__).resolve().parent.parent
SIZE = (120, 40)
CHANGES_AT = (250, 450)  # steps
SHOT_AT = 700


async def main() -> None:
    """Train examples/digits.toml on the screen for a while and save what it shows."""
    config = load(ROOT / "examples" / "digits.toml")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run = RunDir.create(Path("runs"), config.run.name, datetime.now().astimezone(), config=b"", about={})
        session = LiveSession(config, Training(run.checkpoints_path), make_sampler, run_dir="runs/digits-cnn")
        app = BsmonApp(session, theme=load_theme("night"))
        async with app.run_test(size=SIZE) as pilot:
            session.start()
            for step in CHANGES_AT:
                await reach(session, step)
                session.submit(ScaleBatchSize(2.0))
            await reach(session, SHOT_AT)
            await pilot.pause(1.0)
            (ROOT / "docs" / "screen.svg").write_text(app.export_screenshot(title="bsmon train examples/digits.toml"))
            app.exit()
        stop(session)


async def reach(session: LiveSession, step: int) -> None:
    """Wait for this step."""
    while session.snapshot().progress.step < step:
        if session.snapshot().state.ended:
            raise SystemExit(f"the run ended before step {step}: {session.snapshot().failure}")
        await asyncio.sleep(0.2)


def stop(session: LiveSession) -> None:
    """End the training before the program ends."""
    session.submit(Stop(save=False))
    session.ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
