"""The end of a log file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsmon.ui.log_tail import LogTail, read_tail


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", ()),
        (b"one\ntwo\n", ("one", "two")),
        (b"one\nunfinished", ("one", "unfinished")),
        (b"10 %\r50 %\r100 %\nnext\r\n", ("100 %", "next")),
        (b"a\tb\n", ("a   b",)),
        (b"\xff\x1b[2J\n", ("\N{REPLACEMENT CHARACTER}" * 2 + "[2J",)),
    ],
)
def test_lines(tmp_path: Path, written: bytes, lines: tuple[str, ...]) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(written)
    assert read_tail(path) == lines


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number:07}\n" for number in range(20_000)), encoding="utf-8")
    lines = read_tail(path)
    assert lines[-1] == "line 0019999"
    assert 4_000 < len(lines) < 6_000
    assert len(lines[0]) == len("line 0000000")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "log.txt")
    tail.look()
    assert tail.lines == ()
    assert "No such file" in tail.problem
