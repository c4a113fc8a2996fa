"""How good is the advice? From one run at batch size 32, against a sweep over 1 to 512 and three other habits.

    python -m benchmarks.advice [--tasks digits-cnn text] [--held-out] [--seeds 2] [--plan 3] [--retune] [--quick]

For each task, seed and batch size: CPU seconds of one thread until the training loss reaches a target. The seconds
are updates x the step time of the batch size, which is measured once, in CPU time: a busy machine changes them little.
The learning rate at 32 is the best of four, a factor of about three apart; at every other size it follows from that by
bsmon's default rule. All runs of a seed start from the same weights.

advice     what the advisor says halfway through the run at 32, followed until it says keep. It is told what the product
           measures: noise probes at the pace of telemetry.budget, steps at 32, speed probes at 8 and 128. The run is
           planned for --plan times the updates that it turns out to need. Asked for speed alone, as if validation kept
           up with training
careful    the same with the evaluations that the run had: no larger batch while validation is worse than training
in limits  the same against the best size up to N/7, the last that document A calls OK
largest    512 stands for the largest size that fits
Lightning  what BatchSizeFinder finds in mode "power", at the learning rate of 32; where lightning is not installed, by
           its rule: the largest that fits
switch     a run that starts at 32 and does at once what the advisor says, for speed alone; its probes are on the clock

--retune tries a third and three times the rule's learning rate at every size as well, and takes the best. --held-out
measures other tasks and seeds, that nothing was decided on. A run is good when it reached its target; no good run
should ever be called unstable.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from dataclasses import dataclass, replace

import torch

from benchmarks import advice_lightning
from benchmarks.advice_noise import NoiseWatch
from benchmarks.advice_report import START, Seed, show, summarise
from benchmarks.advice_runs import LARGEST, Bench, Looking, Run, speed_alone
from benchmarks.advice_tasks import HELD_OUT, TASKS, Task
from benchmarks.advice_times import SIZES, measure_times
from bsmon.advisor.evidence import Evidence, Limits
from bsmon.advisor.tree import assess
from bsmon.core.advice import Action
from bsmon.engine.build import build
from bsmon.engine.device import device_name
from bsmon.engine.trial import Trial

REFERENCE_STEPS = 6000  # at 32; a task that needs more is too long for this benchmark
GRID = (1.0, 0.3, 3.0, 10.0)  # times the task's learning rate
RETUNED = (1.0, 1 / 3, 3.0)  # times the rule's learning rate
PATIENCE = 3.0  # times the run at 32: a size that takes longer is given up


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. `plan`: updates that the run at 32 is planned for, over those that it needs."""

    plan: float
    retune: bool


def measure(task: Task, seed: int, options: Options) -> Seed:
    """All runs of one task and seed."""
    noise = NoiseWatch()
    trial = Trial(build(task.config(seed), lambda _: None), noise)
    times = measure_times(trial, START)
    noise.attach(trial.parts.model)
    bench = Bench(trial, noise, times, task.target)
    rate, tuned = tune(bench)
    looking = Looking(planned=options.plan * tuned.steps)
    reference = bench.run(START, rate, math.inf, looking)
    most = PATIENCE * _seconds(reference)
    halfway = reference.evidence[len(reference.evidence) // 2]
    runs, retuned = {START: [reference]}, (RETUNED if options.retune else RETUNED[:1])
    for size in SIZES:
        if size != START:
            by_rule = rate * bench.factor(START, size, halfway.noise_scale)
            runs[size] = [bench.run(size, by_rule * factor, most) for factor in retuned]
    switched = bench.run(START, rate, most, replace(looking, obey=True))
    trial.close()
    # Lightning's own trial steps change the model: last, and on one built anew.
    lightning = lightning_run(task, seed, bench, rate, most)
    good = [run for run in (*(runs[size][0] for size in runs), switched, lightning) if run.seconds is not None]
    return Seed(
        samples=trial.samples,
        learning_rate=rate,
        updates=reference.steps,
        probe=times.probe,
        seconds={size: _seconds(found[0]) for size, found in runs.items()},
        retuned={size: min(map(_seconds, found)) for size, found in runs.items()} if options.retune else {},
        advised=follow(speed_alone(halfway)),
        careful=follow(halfway),
        lightning=_seconds(lightning),
        switched=_seconds(switched),
        changes=switched.changes,
        noise_scale=halfway.noise_scale,
        good=len(good),
        unstable=sum(run.unstable for run in good),
        barely_moving=sum(run.barely_moving for run in good),
    )


def lightning_run(task: Task, seed: int, bench: Bench, rate: float, most: float) -> Run:
    """A run at Lightning's size; what finding it took is not counted, since on so small a task it would be all."""
    largest = min(LARGEST, bench.trial.samples)
    if not advice_lightning.is_installed():
        return bench.run(largest, rate, most)
    found, _ = advice_lightning.find(build(task.config(seed), lambda _: None), largest)
    # It returns a size that has just failed where that is the whole data set.
    return bench.run(min(found, largest), rate, most)


def tune(bench: Bench) -> tuple[float, Run]:
    """The best learning rate of the grid at 32, and the run with it."""
    most = REFERENCE_STEPS * bench.times.at(START)
    best: tuple[float, Run] | None = None
    for factor in GRID:
        rate = factor * bench.learning_rate
        run = bench.run(START, rate, most)
        if run.seconds is not None:
            best, most = (rate, run), run.seconds
    if best is None:
        raise SystemExit(f"{bench.target} is not reached at {START} within {REFERENCE_STEPS} updates")
    return best


def follow(evidence: Evidence) -> int:
    """The batch size that the advice comes to: at most a factor of four a move, until it says keep."""
    for _ in SIZES:
        advice = assess(evidence, Limits(1, LARGEST)).advice
        if advice is None or advice.action is not Action.BATCH:
            break
        evidence = replace(
            evidence,
            batch_size=advice.new_batch_size,
            micro_batch_size=advice.new_batch_size,
            learning_rate=advice.new_learning_rate,
        )
    return evidence.batch_size


def _seconds(run: Run) -> float:
    return math.inf if run.seconds is None else run.seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tasks", nargs="+", choices=[task.name for task in TASKS + HELD_OUT], metavar="NAME")
    parser.add_argument("--held-out", action="store_true", help="other tasks, and other seeds of the same")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--plan", type=float, default=PATIENCE, help="of updates, times those the run at 32 needs")
    parser.add_argument("--retune", action="store_true", help="try three learning rates at every size")
    parser.add_argument("--quick", action="store_true", help="one seed")
    given = parser.parse_args()
    first, tasks = (len(TASKS), HELD_OUT + TASKS) if given.held_out else (0, TASKS)
    seeds = range(first, first + (1 if given.quick else given.seeds))
    began, wall = time.process_time(), time.monotonic()
    rows = []
    for task in [task for task in tasks if not given.tasks or task.name in given.tasks]:
        rows.append(summarise(task.name, [measure(task, seed, Options(given.plan, given.retune)) for seed in seeds]))
        print(f"... {task.name} done after {time.monotonic() - wall:.0f} s", flush=True)
    machine = device_name(torch.device("cpu"))
    print(f"\n{machine}, one thread, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{len(seeds)} seeds, batch sizes {SIZES[0]} to {SIZES[-1]}; {time.process_time() - began:.0f} s of CPU")
    print(f"runs planned for {given.plan:g} times the updates at {START}\n")
    show(rows)


if __name__ == "__main__":
    main()
