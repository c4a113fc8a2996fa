"""Nothing is lost: memory that runs out at every operator of an update, changes in mid-epoch, kill -9.

    python -m benchmarks.recovery [--stride N] [--changes N] [--kills N]

Runs on the CPU, which computes bit for bit the same every time. Prints, by optimizer: operators at which memory was
made to run out, and how those runs ended, compared bit by bit with runs without the fault; samples lost or repeated
over random batch changes, undone changes, lacks of memory and resumes; the real program killed with SIGKILL, resumed
and compared; and what the copies cost that are taken before each update.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from bsmon.engine.keeper import StepKeeper
from tests.faults.engine import program
from tests.faults.engine.injection import CASES, Ending, sweep
from tests.unit.engine.histories import History, Life, live, random_history

ROUNDS = 60
STEPS_A_ROUND = 20


def main() -> None:
    """Print all four tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stride", type=int, default=1, help="attack every so many operators [1]")
    parser.add_argument("--changes", type=int, default=10_000, help="random batch changes [10000]")
    parser.add_argument("--kills", type=int, default=10, help="SIGKILLs of the real program [10]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    show_out_of_memory(chosen.stride)
    show_exactly_once(chosen.changes)
    show_kills(chosen.kills)
    show_cost()


def show_out_of_memory(stride: int) -> None:
    """One line an optimizer."""
    print(f"{'memory runs out in':28} {'operators':>9} {'exact':>6} {'reloaded':>9} {'wrong':>6}")
    total: Counter[Ending] = Counter()
    for case in CASES:
        endings = Counter(trial.ending for trial in sweep(case, stride))
        total += endings
        print(_line(case.name, endings), flush=True)
    print(_line("all", total))
    print("exact: bit for bit the run with the smaller micro batch from that update on; reloaded: bit for bit the run")
    print("without the fault, from the last checkpoint on\n")


def _line(name: str, endings: Counter[Ending]) -> str:
    exact, reloaded, wrong = (endings[ending] for ending in Ending)
    return f"{name:28} {endings.total():9} {exact:6} {reloaded:9} {wrong:6}"


def show_exactly_once(changes: int) -> None:
    """Samples lost or repeated, over random histories with resumes."""
    chance = random.Random(1)
    made = epochs = samples = lost = repeated = failures = 0
    while made < changes:
        history = random_history(chance)
        with tempfile.TemporaryDirectory() as folder:
            life = live(history, Path(folder))
        missing, twice = misplaced(history, life)
        lost, repeated = lost + missing, repeated + twice
        made += sum(1 for step, _ in history.commands if step <= len(life.made))
        epochs, samples = epochs + history.epochs, samples + history.epochs * history.samples
        failures += life.out_of_memory
    print(f"{made:,} batch changes and undos, {failures} lacks of memory, over {epochs} epochs of {samples:,} samples:")
    print(f"  samples lost {lost}, repeated {repeated}\n")


def misplaced(history: History, life: Life) -> tuple[int, int]:
    """Samples of all epochs that reached no update, and that reached more updates than they should."""
    lost = repeated = 0
    for epoch in range(1, history.epochs + 1):
        expected = Counter(history.order().indices(epoch).tolist())
        seen = Counter(sample for u in life.made.values() if u.epoch == epoch for sample in u.samples)
        lost += (expected - seen).total()
        repeated += (seen - expected).total()
    return lost, repeated


def show_kills(kills: int) -> None:
    """The real program is killed again and again; the last time it trains to the end."""
    with tempfile.TemporaryDirectory() as killed, tempfile.TemporaryDirectory() as whole:
        resume: list[str] = []
        reached = 0
        for _ in range(kills):
            with program.start(Path(killed), *resume) as process:
                reached = program.until_saved(process, after=reached + 50)
                program.end(process, signal.SIGKILL)
            resume = ["--resume", str(Path(killed) / program.RUN)]
        steps = program.newest(Path(killed)).step + 100
        resumed = program.finish(Path(killed), steps, *resume)
        differences = program.differences(program.finish(Path(whole), steps), resumed)
    print(
        f"{kills} times killed with SIGKILL and resumed, {steps:,} updates in all; differences from a run that was not:"
    )
    print(f"  {len(differences)} {', '.join(differences)}\n")


def show_cost() -> None:
    """The copies that are taken before each update, as a share of it; steps with and without by turns."""
    print(f"{'copies before each update':28} {'step, ms':>9} {'copies, us':>11} {'share':>7}")
    for name, model, inputs in (
        ("MLP, 2 layers", nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), torch.randn(32, 64)),
        ("CNN with BatchNorm", _cnn(), torch.randn(64, 3, 32, 32)),
    ):
        step_s, keep_s = cost(model, inputs)
        print(f"{name:28} {step_s * 1e3:9.3f} {keep_s * 1e6:11.1f} {keep_s / step_s:7.2%}")


def _cnn() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def cost(model: nn.Module, inputs: torch.Tensor) -> tuple[float, float]:
    """Median seconds of an update (fused AdamW) and of the copies, measured by turns in one run."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    targets = torch.randint(0, 10, (len(inputs),))
    keeper = StepKeeper(model, optimizer, None)
    steps, copies = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(STEPS_A_ROUND):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        made = time.perf_counter()
        for _ in range(STEPS_A_ROUND):
            keeper.keep()
        copies.append((time.perf_counter() - made) / STEPS_A_ROUND)
        steps.append((made - begun) / STEPS_A_ROUND)
    return statistics.median(steps), statistics.median(copies)


if __name__ == "__main__":
    main()
