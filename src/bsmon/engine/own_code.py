"""The part of an error's traceback that a person can mend."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

import bsmon

_NOT_THEIRS = tuple(str(Path(package.__file__ or "").parent) for package in (bsmon, torch))


def traceback_from_own_code(error: BaseException) -> str:
    """The traceback of `error` from the person's own code on; whole where none of theirs is in it.

    What led to their code is bsmon's loop and torch's calling of modules, the same for every error.
    """
    report = traceback.TracebackException.from_exception(error)
    theirs = next((i for i, frame in enumerate(report.stack) if not frame.filename.startswith(_NOT_THEIRS)), 0)
    report.stack = traceback.StackSummary.from_list(report.stack[theirs:])
    return "".join(report.format())
