"""The part of a traceback that is the person's own code."""

from __future__ import annotations

import traceback

_IMPORT_MACHINERY = ("<frozen importlib", "importlib/__init__.py", "bsmon/engine/tasks/targets.py")


def own_traceback(error: BaseException) -> str:
    """The error in one line, then its traceback without the import machinery, one entry a line, indented."""
    report = traceback.TracebackException.from_exception(error)
    report.stack = traceback.StackSummary.from_list([frame for frame in report.stack if not _is_machinery(frame)])
    headline = traceback.format_exception_only(error)[-1].strip()
    lines = "".join(report.format()).rstrip().splitlines()
    return "\n".join([headline, *(f"    {line}" for line in lines)])


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    path = frame.filename.replace("\\", "/")
    return any(part in path for part in _IMPORT_MACHINERY)
