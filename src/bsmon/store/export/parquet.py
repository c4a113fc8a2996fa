"""Apache Parquet, through pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bsmon.core.errors import BadInput
from bsmon.store.export.rows import COLUMNS, INTEGERS, StepTable, Value

_ROWS_AT_ONCE = 100_000


def write_parquet(journal: Path, path: Path) -> None:
    """The table of updates. Raises BadInput, naming the command that helps, where pyarrow is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadInput("--format parquet needs pyarrow: python -m pip install pyarrow") from None
    kinds = [(name, pyarrow.int64() if name in INTEGERS else pyarrow.float64()) for name in COLUMNS]
    schema = pyarrow.schema(kinds)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        waiting: list[tuple[Value, ...]] = []
        for rows in StepTable(journal).batches():
            waiting += rows
            if len(waiting) >= _ROWS_AT_ONCE:
                writer.write_table(_table(pyarrow, schema, waiting))
                waiting = []
        writer.write_table(_table(pyarrow, schema, waiting))


def _table(pyarrow: Any, schema: Any, rows: Sequence[Sequence[Value]]) -> Any:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pyarrow.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema=schema)
