"""Faults around a run, tried and counted: lost terminals, hostile and lazy viewers.

    python -m benchmarks.faults [--hang-ups 100] [--frames 100000]

0 leaves that half out. Needs no GPU. A hundred hang-ups take some ten minutes; everything else about two.
"""

from __future__ import annotations

import argparse

from benchmarks import faults_terminal, faults_wire


def main() -> None:
    """Print the figures, a line each."""
    parser = argparse.ArgumentParser(description="Faults around a run, tried and counted.")
    parser.add_argument("--hang-ups", type=int, default=100)
    parser.add_argument("--frames", type=int, default=100_000)
    chosen = parser.parse_args()
    if chosen.frames:
        faults_wire.main(chosen.frames)
    if chosen.hang_ups:
        faults_terminal.main(chosen.hang_ups)


if __name__ == "__main__":
    main()
