"""The writer to a terminal that stalls or goes, on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import time
from collections.abc import Iterator
from typing import IO

import pytest

from bsmon.ui.driver import PatientWriter, hung_up, takes_output

PATIENCE_S = 20.0


class PseudoTerminal:
    """Both ends; the program's as a file."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.file: IO[str] = os.fdopen(slave, "w")

    def read(self, count: int) -> bytes:
        """So many bytes of what was written; the kernel hands them over in its own time."""
        data = b""
        while len(data) < count and select.select([self.master], [], [], PATIENCE_S)[0]:
            data += os.read(self.master, count - len(data))
        return data

    def close_master(self) -> None:
        if self.master >= 0:
            os.close(self.master)
        self.master = -1


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    opened = PseudoTerminal()
    yield opened
    opened.close_master()
    opened.file.close()


def test_what_is_written_arrives_in_order(terminal: PseudoTerminal) -> None:
    writer = PatientWriter(terminal.file)
    writer.start()
    for number in range(20):
        writer.write(f"{number} é,")
    writer.stop()
    wanted = "".join(f"{number} é," for number in range(20)).encode()
    assert terminal.read(len(wanted)) == wanted


def test_whoever_waits_for_a_stalled_terminal_is_let_go(terminal: PseudoTerminal) -> None:
    writer = PatientWriter(terminal.file)
    writer.start()
    through = threading.Event()

    def draw() -> None:
        for _ in range(1000):  # far more than the terminal and the queue take
            writer.write("x" * 10_000)
        through.set()

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    os.read(terminal.master, 1)  # the writer is at it
    while not writer._queue.full():
        drawing.join(0.01)
    assert not through.is_set()
    writer.give_up()
    assert through.wait(PATIENCE_S)
    writer.stop()


def test_stopping_waits_no_longer_than_the_terminal_is_worth_waiting_for(terminal: PseudoTerminal) -> None:
    writer = PatientWriter(terminal.file)
    writer.start()
    writer.write("x" * 1_000_000)
    os.read(terminal.master, 1)
    stopping = threading.Thread(target=writer.stop, daemon=True)
    stopping.start()
    assert stopping.is_alive()  # there is no reason yet to lose what was written
    writer.give_up()
    stopping.join(PATIENCE_S)
    assert not stopping.is_alive()


def test_a_closed_terminal_takes_everything_and_fails_nothing(terminal: PseudoTerminal) -> None:
    terminal.close_master()
    assert hung_up(terminal.file.fileno())
    writer = PatientWriter(terminal.file)
    writer.start()
    for _ in range(200):
        writer.write("x" * 1000)
    writer.stop()
    assert not writer.is_alive()


def test_an_open_terminal_has_not_hung_up(terminal: PseudoTerminal) -> None:
    assert not hung_up(terminal.file.fileno())


def test_a_terminal_that_nobody_reads_is_full_before_long(terminal: PseudoTerminal) -> None:
    descriptor = terminal.file.fileno()
    assert takes_output(descriptor)
    os.set_blocking(descriptor, False)
    deadline = time.monotonic() + PATIENCE_S
    while takes_output(descriptor):  # the kernel still makes room for a while, by moving data to the other end
        assert time.monotonic() < deadline
        with contextlib.suppress(BlockingIOError):
            os.write(descriptor, b"x" * 4096)


def test_a_terminal_that_is_gone_takes_nothing(terminal: PseudoTerminal) -> None:
    terminal.close_master()
    assert not takes_output(terminal.file.fileno())
