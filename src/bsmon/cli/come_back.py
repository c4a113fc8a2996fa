"""What to type to see a run again."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from bsmon.core.text import clean
from bsmon.store.run_dir import RunDir


def come_back(run: RunDir) -> str:
    """A sentence with the command, its path as short as a person would type it."""
    path = os.path.relpath(run.path) if run.path.is_relative_to(Path.cwd()) else str(run.path)
    return f"Come back with: bsmon attach {shlex.quote(clean(path))} --control"
