"""What a step costs on several ranks beside one: python -m benchmarks.ranks [--ranks 2] [--rounds 5] [--device cpu]

The real engine without probes, by turns: one rank with the whole batch, one rank with the share that each of several
would take, and several ranks with the whole batch. Wall clock a step, in milliseconds: the median over the rounds'
medians, and their range. What several ranks take beyond one rank's share is the price of handing the work out, of
adding up the gradients, and of sharing the machine. Ranks on the CPU share its cores and add up through gloo, GPUs
through NCCL.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from bsmon.config.load import parse
from tests.unit.engine.harness import play

STEPS = 150
WARM_UP = 30
TASKS = {
    "MLP 64-64-10, 5 k weights, batch 32": ("[data]\ntask = 'digits'\n[model]\nname = 'mlp'\nhidden = [64]", 32),
    "CNN 16-32-64, 24 k weights, batch 128": ("[data]\ntask = 'digits'\n[model]\nname = 'cnn'", 128),
    "MLP 64-1024-1024-10, 1.1 M weights, batch 256": (
        "[data]\ntask = 'digits'\n[model]\nname = 'mlp'\nhidden = [1024, 1024]",
        256,
    ),
}
COMMON = ['train.eval_every="never"', 'advisor.mode="off"', "run.threads=1", f"run.max_steps={STEPS}"]


def milliseconds(task: str, batch_size: int, ranks: int, device: str) -> float:
    """The median step of a run."""
    settings = [f"batch.size={batch_size}", f"run.world_size={ranks}", f'run.device="{device}"']
    config = parse(task, Path("benchmark.toml"), [*COMMON, *settings])
    with tempfile.TemporaryDirectory() as folder:
        played = play(config, Path(folder))
    return 1e3 * median(step.duration_s for step in played.recorder.steps_made[WARM_UP:])


def cell(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    ranks, device = options.ranks, options.device
    print(f"{'ms a step':<48}{'1 rank':>24}{'1 rank, its share':>24}{f'{ranks} ranks':>24}")
    for name, (task, size) in TASKS.items():
        plans = [(size, 1), (size // ranks, 1), (size, ranks)]
        rounds = [[milliseconds(task, rows, world, device) for rows, world in plans] for _ in range(options.rounds)]
        cells = [cell([found[index] for found in rounds]) for index in range(len(plans))]
        print(f"{name:<48}" + "".join(f"{text:>24}" for text in cells), flush=True)


if __name__ == "__main__":
    main()
