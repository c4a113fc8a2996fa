"""A full disk and kill -9 while a checkpoint is being written, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bsmon.engine.checkpoint import CheckpointStore

FULL = """
import json, resource, sys, torch
from pathlib import Path
from bsmon.engine.checkpoint import CheckpointFailed, CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
store.save({"w": torch.zeros(100)}, 1)
store.save({"w": torch.zeros(100)}, 2)
said = []
for limit in (0, 100, 5_000, 50_000, 200_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        store.save({"w": torch.zeros(100_000), "v": torch.ones(1000)}, 3)
    except CheckpointFailed as failed:
        said.append(str(failed))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
left = sorted(path.name for path in store.directory.iterdir())
print(json.dumps({"said": said, "left": left, "step": store.load().step}))
"""

# Each trial is a forked child that saves without end until it is killed; it names every step whose save returned.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from bsmon.engine.checkpoint import CheckpointStore
torch.set_num_threads(1)
directory, trials = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(trials)
step = 0
for trial in range(trials):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        store = CheckpointStore(directory)
        while True:
            step += 1
            store.save({"step": step, "w": torch.full((20_000,), float(step % 1000))}, step)
            os.write(write, f"{step} ".encode())
    os.close(write)
    os.read(read, 20)  # the first save of this child is done
    time.sleep(chance.random() * 0.03)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = os.read(read, 1 << 16).split()
    os.close(read)
    loaded = CheckpointStore(directory).load()
    step = loaded.step
    whole = loaded.state["step"] == step and bool((loaded.state["w"] == float(step % 1000)).all())
    newest = int(said[-1]) if said else 0
    print(int(whole), int(step >= newest), len(loaded.skipped))
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_is_reported_and_the_old_checkpoints_load(tmp_path: Path) -> None:
    result = json.loads(run(FULL, str(tmp_path / "c")))
    assert (
        result["said"] == ["The checkpoint of step 3 was not written: the file is larger than this system allows."] * 5
    )
    assert len(result["left"]) == 3  # two checkpoints and the manifest: no temporary file
    assert result["step"] == 2


@pytest.mark.parametrize("trials", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_9_never_costs_a_finished_checkpoint(tmp_path: Path, trials: int) -> None:
    directory = tmp_path / "c"
    rows = [line.split() for line in run(KILLED, str(directory), str(trials)).splitlines()]
    assert rows == [["1", "1", "0"]] * trials
    store = CheckpointStore(directory)
    store.save({"step": 0}, 10**6)
    assert len(list(directory.iterdir())) == 3  # leftovers of the killed are gone
