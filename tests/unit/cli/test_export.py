"""`bsmon export` in every format."""

from __future__ import annotations

import csv
import io
import json
import struct
import sys
from pathlib import Path

import pytest

from bsmon.core.errors import BadInput
from bsmon.store.export.tensorboard import crc32c
from tests.unit.cli.recorded_runs import HOSTILE, Bsmon, Run


def test_csv_has_a_row_an_update(make: Run, call: Bsmon) -> None:
    make("digits")
    rows = list(csv.DictReader(io.StringIO(call("export", "-o", "-"))))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 41)]
    assert rows[29]["grad_norm"] == "0.5"
    assert rows[28]["grad_norm"] == ""
    assert rows[39]["validation_loss"] == "0.25"


def test_json_has_everything(make: Run, call: Bsmon) -> None:
    make("digits", text=HOSTILE)
    found = json.loads(call("export", "--format", "json", "-o", "-"))
    assert len(found["steps"]) == 40
    assert len(found["steps"][0]) == len(found["columns"])
    assert found["evaluations"][0]["result"]["loss"] == 0.25
    assert len(found["events"]) == len(found["hardware"]) == len(found["advice"]) == 1


def test_crc32c_as_in_rfc_3720() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_tensorboard_files_hold_a_record_an_update(make: Run, call: Bsmon) -> None:
    make("digits")
    call("export", "--format", "tensorboard", "-o", "board")
    (path,) = Path("board").iterdir()
    data, records = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    assert b"brain.Event:2" in records[0]
    assert len(records) == 41
    assert b"grad_norm" in records[30]


def test_parquet_holds_the_table_of_csv(make: Run, call: Bsmon) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed; the dev extra has it")
    make("digits")
    call("export", "--format", "parquet", "-o", "table.parquet")
    table = parquet.read_table("table.parquet").to_pylist()
    rows = list(csv.DictReader(io.StringIO(call("export", "-o", "-"))))
    assert len(table) == 40
    assert [{key: "" if value is None else str(value) for key, value in row.items()} for row in table] == rows
    assert (table[39]["step"], table[39]["batch_size"], table[39]["validation_loss"]) == (40, 64, 0.25)


def test_parquet_without_pyarrow_says_what_to_install(make: Run, call: Bsmon, monkeypatch: pytest.MonkeyPatch) -> None:
    make("digits")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match="pip install pyarrow"):
        call("export", "--format", "parquet")
    assert list(Path().glob("*.part")) == []
