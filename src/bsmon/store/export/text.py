"""CSV and JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from bsmon.core.happenings import Advised, Evaluated, HardwareRead, Noted, PlanSet, RunDescribed, StateChanged
from bsmon.core.text import clean
from bsmon.store.export.rows import COLUMNS, StepTable
from bsmon.store.journal_format import Plain, plain
from bsmon.store.journal_reader import JournalReader

_LISTS: Mapping[type, str] = {
    Noted: "events",
    Evaluated: "evaluations",
    PlanSet: "batch_plans",
    HardwareRead: "hardware",
    Advised: "advice",
    StateChanged: "states",
}


def write_csv(journal: Path, out: TextIO) -> None:
    """The table of updates; an empty cell is unknown."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rows in StepTable(journal).batches():
        writer.writerows(rows)


def write_json(journal: Path, out: TextIO) -> None:
    """One object: "run", "steps" (a list for each column), and a list for each other kind of happening."""
    parts: dict[str, list[Plain]] = {name: [] for name in _LISTS.values()}
    run: Plain = None
    for entry in JournalReader(journal).read():
        happening = entry.happening
        if isinstance(happening, RunDescribed):
            run = safe(plain(happening.info))
        elif type(happening) in _LISTS:
            packed = safe(plain(happening))
            fields = packed if isinstance(packed, dict) else {}
            times: dict[str, Plain] = {"time_s": entry.moment.time_s, "clock": entry.moment.clock}
            parts[_LISTS[type(happening)]].append({**times, **fields})
    out.write(f'{{"run": {json.dumps(run)}')
    for name, items in parts.items():
        out.write(f',\n"{name}": {json.dumps(items)}')
    out.write(f',\n"columns": {json.dumps(COLUMNS)},\n"steps": [')
    for index, row in enumerate(_rows(journal)):
        out.write(f"{',' if index else ''}\n{json.dumps(row)}")
    out.write("\n]}\n")


def _rows(journal: Path) -> Iterator[list[Plain]]:
    for rows in StepTable(journal).batches():
        for row in rows:
            yield [None if isinstance(value, float) and not math.isfinite(value) else value for value in row]


def safe(value: Plain) -> Plain:
    """Text cleaned for a terminal, and null where a number is not finite."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [safe(item) for item in value]
    if isinstance(value, dict):
        if "$float" in value:
            return None
        return {clean(key): safe(item) for key, item in value.items()}
    return value
