"""The journal: everything comes back, and nothing in a file makes a reader fail."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsmon.core.errors import BadInput
from bsmon.core.gradients import Measurement
from bsmon.core.happenings import Happening, Measured, Moment, Noted, PlanSet, Rewound, StepsMade
from bsmon.core.records import EventKind, Level
from bsmon.core.snapshot import BatchState
from bsmon.store.journal_format import MEASUREMENTS, WHOLE, plain
from bsmon.store.journal_reader import Entry, JournalReader
from bsmon.store.journal_writer import JournalWriter
from tests.unit.store.happenings import happenings, training_steps

BEGAN = Moment(0.0, 1_700_000_000.0)


def write(path: Path, *batches: list[Happening]) -> None:
    writer = JournalWriter(path, BEGAN, "a run")
    for second, batch in enumerate(batches, start=1):
        writer.write(float(second), batch)
    writer.close()
    assert writer.news() == []


def read(path: Path) -> tuple[list[Entry], int]:
    reader = JournalReader(path)
    return list(reader.read()), reader.damaged


def comparable(value: Any) -> Any:
    """A happening as plain values with the digits that the journal promises; texts as UTF-8 can hold them."""
    if isinstance(value, StepsMade):
        return [[_digits(item) for item in step] for step in value.records]
    held = value.measurement if isinstance(value, Measured) else value
    return type(held), _rounded(plain(held))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return _digits(value)


def _digits(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        # Times have four decimals only, everything else has seven digits or more.
        return pytest.approx(value, rel=1e-6, abs=1e-4)
    return repr(value) if isinstance(value, float) else value


@settings(max_examples=80, deadline=None)
@given(st.lists(happenings(), max_size=5))
def test_any_happenings_come_back(tmp_path_factory: pytest.TempPathFactory, written: list[Happening]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    write(path, written)
    found, damaged = read(path)
    assert damaged == 0
    assert [comparable(entry.happening) for entry in found] == [comparable(happening) for happening in written]
    assert all(entry.moment == Moment(1.0, BEGAN.clock + 1.0) for entry in found)


def test_every_kind_has_a_line() -> None:
    assert set(MEASUREMENTS.values()) == set(get_args(Measurement))
    assert set(WHOLE.values()) | {StepsMade, Measured} == set(get_args(Happening))


def test_a_learning_rate_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    rate = 0.1 + 0.2
    asked = Noted(EventKind.LEARNING_RATE, Level.GOOD, "", 7, {"new": rate})
    write(tmp_path / "journal.jsonl", [asked])
    found, _ = read(tmp_path / "journal.jsonl")
    assert found[0].happening == asked


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path)
    assert list(reader.read()) == []  # not there yet
    writer = JournalWriter(path, BEGAN, "a run")
    for number in range(5):
        writer.write(1.0, [training_steps(1 + number, 1)])
        assert [entry.happening.records[0].step for entry in reader.read()] == [1 + number]  # type: ignore[union-attr]  # steps alone were written
    writer.close()


def test_a_second_part_follows_the_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, [training_steps(1, 3)])
    resumed = JournalWriter(path, Moment(10.0, 1_700_000_500.0), "a run")
    resumed.write(11.0, [Rewound(2), training_steps(3, 2)])
    resumed.close()
    found, damaged = read(path)
    assert damaged == 0
    assert [entry.moment.clock for entry in found] == [1_700_000_001.0, 1_700_000_501.0, 1_700_000_501.0]


# --- what a crash leaves


def lines_of(path: Path) -> bytes:
    write(path, [training_steps(1, 3)], [PlanSet(BatchState(64, 64, 1, 1e-3))], [training_steps(4, 2)])
    return path.read_bytes()


def test_a_tail_torn_at_any_byte_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = lines_of(path)
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    torn = tmp_path / "torn.jsonl"
    for size in range(len(whole) + 1):
        torn.write_bytes(whole[:size])
        found, damaged = read(torn)
        # The first line is the head, which says nothing of the run.
        assert len(found) == max(0, sum(end < size for end in ends) - 1)
        assert damaged == 0


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_writer_after_a_torn_tail_starts_a_line_of_its_own(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(lines_of(path)[:-cut])
    write(path, [training_steps(6, 1)])
    found, damaged = read(path)
    assert [entry.happening for entry in found][-1] == training_steps(6, 1)
    assert damaged == 1
    assert len(found) == 3


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.binary(max_size=80) | st.sampled_from([b"[]", b"[" * 5000, b'["s",1]', b'["b",1,{}]', b"null"]), max_size=5
    ),
    st.data(),
)
def test_garbage_between_lines_costs_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, garbage: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "journal.jsonl"
    lines = lines_of(path).splitlines(keepends=True)
    for junk in garbage:
        place = data.draw(st.integers(1, len(lines)))
        lines.insert(place, junk.replace(b"\n", b"") + b"\n")
    path.write_bytes(b"".join(lines))
    found, damaged = read(path)
    assert [type(entry.happening) for entry in found] == [StepsMade, PlanSet, StepsMade]
    assert damaged == sum(1 for junk in garbage if junk.replace(b"\n", b""))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_no_flipped_bytes_make_a_reader_fail(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("flipped") / "journal.jsonl"
    spoilt = bytearray(lines_of(path))
    for _ in range(data.draw(st.integers(1, 8))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(spoilt)
    later = b'"format":' in spoilt and b'"format":1,' not in spoilt
    with contextlib.suppress(*([BadInput] if later else [])):  # the number of the format itself was hit
        found, _ = read(path)
        assert len(found) <= 3 + spoilt.count(b"\n")


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsmon.store.journal_reader._CHUNK", 1 << 10)
    monkeypatch.setattr("bsmon.store.journal_reader._LONGEST_LINE", 1 << 12)
    path = tmp_path / "journal.jsonl"
    whole = lines_of(path)
    head, rest = whole.split(b"\n", 1)
    path.write_bytes(head + b"\n" + b"x" * (1 << 14) + b"\n" + rest)
    found, damaged = read(path)
    assert len(found) == 3
    assert damaged == 1


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('["h",0,{"format":2}]\n')
    with pytest.raises(BadInput, match="later version"):
        read(path)


@pytest.mark.parametrize("trick", ["link", "pipe", "folder"])
def test_what_is_no_file_of_its_own_is_refused(tmp_path: Path, trick: str) -> None:
    path, other = tmp_path / "journal.jsonl", tmp_path / "other"
    if trick == "link":
        other.write_bytes(b"secret\n")
        path.symlink_to(other)
    elif trick == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        read(path)
    writer = JournalWriter(path, BEGAN, "a run")
    writer.write(1.0, [training_steps(1, 1)])
    assert "training goes on" in writer.news()[0]
    writer.close()
    assert not other.exists() or other.read_bytes() == b"secret\n"


def test_what_is_no_record_costs_that_entry_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = JournalWriter(path, BEGAN, "a run")
    wrong = Noted(EventKind.RUN, Level.INFO, "", 1, {"n": object()})  # type: ignore[dict-item]  # what the test is about
    writer.write(1.0, [wrong, training_steps(1, 1)])
    writer.close()
    assert ["cannot be written" in text for text in writer.news()] == [True]
    assert [type(entry.happening) for entry in read(path)[0]] == [StepsMade]


def test_a_text_that_is_no_utf8_is_kept_as_far_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, [Noted(EventKind.DATA, Level.INFO, "file \udcff.npz", 0, {})])
    found, _ = read(path)
    assert getattr(found[0].happening, "text", "") == "file ?.npz"
