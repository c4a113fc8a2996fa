"""Every proof about gradient statistics, one after the other: python -m benchmarks.statistics [--quick]

1. `benchmarks.noise_scale`: the noise scale against true values on paper and against exact per-sample gradients.
2. `benchmarks.loss_health`: false alarms and detections of loss health, beside the naive test.
3. `benchmarks.gradient_cost`: what measuring takes of a step, for six models and batches.

Each runs in a process of its own, so that none starts with the memory and caches of the one before. Start it with -m:
run as a file, its folder would come first on the path, and this file would hide the standard library's `statistics`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PROOFS = {
    "benchmarks.noise_scale": (["--trials", "200", "--probes", "1000"], ["--trials", "40", "--probes", "200"]),
    "benchmarks.loss_health": ([], ["--quick"]),
    "benchmarks.gradient_cost": (["--seconds", "3"], ["--seconds", "1"]),
}
"""Module: its arguments, and those for a quick look."""


def main() -> None:
    """Run the proofs; exits with the status of the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute or two: too few trials for the docs")
    quick: bool = parser.parse_args().quick
    for module, (whole, short) in PROOFS.items():
        arguments = short if quick else whole
        print(f"\n{module} {' '.join(arguments)}\n", flush=True)
        status = subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
