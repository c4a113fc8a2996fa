"""Run a real program in a real pseudo-terminal, press keys and look at its screen.

Nothing here sleeps: every wait ends at the byte that makes it true, or fails with the screen in the message.

    with Terminal(["bsmon", "train", "config.toml"], columns=120, rows=40) as terminal:
        terminal.until("batch 32")
        terminal.press("+")
        terminal.until("batch 64")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.left_behind() == []
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from tests.terminal_emulator import Emulator, answers, modes_left_on

KEYS = {
    "enter": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "delete": "\x1b[3~",
    "shift+tab": "\x1b[Z",
} | {f"ctrl+{letter}": chr(ord(letter) - 96) for letter in "abcdefghijklmnopqrstuvwxyz"}

# Takes the terminal as its own and becomes the program. A process of its own, because forking a Python that has
# threads (pytest-xdist has) may deadlock the child. Tests started by nohup or in the background of a script inherit
# signals that are ignored; a program in a fresh terminal does not.
SHIM = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""

# A person's own settings that would change what a program shows.
UNWANTED = ("NO_COLOR", "COLUMNS", "LINES", "TERM_PROGRAM")

PATIENCE_S = 30.0
"""How long a wait may take by default; reached only by a test that fails, so it is long for a busy machine's sake."""

LAST_WORDS_S = 1.0  # silence after which a program's children, who hold the terminal open, are taken to be quiet


class Terminal:
    """A program in a terminal of its own; a context manager that leaves no process behind.

    Output is read only while a method waits, so a test that does not wait is a terminal that does not read.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start `command`; `env` is added to this process's environment."""
        self._emulator = Emulator(columns, rows)
        self._raw = bytearray()
        self._output_ended = False
        self._master, slave = pty.openpty()
        self._set_size(columns, rows)
        self._settings = termios.tcgetattr(self._master)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SHIM, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env=_environment(env or {}),
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        """Return the terminal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kill what is left of the program and its children, and close the terminal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.hangup()

    @property
    def raw(self) -> bytes:
        """Every byte that came out so far."""
        return bytes(self._raw)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen as last read, without trailing blanks."""
        return self._emulator.lines

    @property
    def screen_text(self) -> str:
        """The screen as last read."""
        return "\n".join(self.lines)

    def until(self, wanted: str | Callable[[str], bool], timeout_s: float = PATIENCE_S) -> str:
        """Wait until `wanted` stands on the screen, or is true of it; return the screen.

        Raises:
            AssertionError: the time is over, or the program ended without showing it.
        """
        holds = wanted if callable(wanted) else lambda screen: wanted in screen
        deadline = time.monotonic() + timeout_s
        while not holds(self.screen_text):
            left_s = deadline - time.monotonic()
            if self._output_ended or left_s <= 0 or not self._read(left_s):
                self._fail(f"waited for {wanted!r}")
        return self.screen_text

    def until_gone(self, unwanted: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait until `unwanted` stands nowhere on the screen; return the screen."""
        return self.until(lambda screen: unwanted not in screen, timeout_s)

    def read_for(self, seconds: float) -> None:
        """Read on for this long, whatever comes: a terminal whose person only looks."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0 and not self._output_ended:
            self._read(left_s)

    def press(self, *keys: str) -> None:
        """Press keys, each a name from `KEYS` or one character.

        A key right behind escape is one key to every terminal (Alt and that key): wait for what escape does first.
        """
        for key in keys:
            if key not in KEYS and len(key) != 1:
                raise ValueError(f"no key is called {key!r}")
            self.type(KEYS.get(key, key))

    def type(self, text: str) -> None:
        """Send `text` as it is."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size; the program gets SIGWINCH from the kernel."""
        self._set_size(columns, rows)
        self._emulator.resize(columns, rows)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def hangup(self) -> None:
        """Close the terminal under the program, as a lost SSH connection does."""
        if self._master >= 0:
            os.close(self._master)
        self._master, self._output_ended = -1, True

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the program's end, reading on; return its exit status, -N for signal N.

        Raises:
            AssertionError: it is still running after the time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._output_ended and self.process.poll() is None and time.monotonic() < deadline:
            self._read(min(0.1, timeout_s))
        try:
            status = self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._fail("waited for the program to end")
        while not self._output_ended and self._read(LAST_WORDS_S):
            pass
        return status

    def left_behind(self) -> list[str]:
        """After the end: what the next program in this terminal would suffer from; empty when all was put back."""
        left = modes_left_on(self.raw)
        if self._master >= 0 and termios.tcgetattr(self._master) != self._settings:
            left.append("line settings (echo, line by line input)")
        return left

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, timeout_s: float) -> bool:
        """Take in what comes within the time; False when nothing came."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # how Linux says that nobody has the terminal open any more
        if not data:
            self._output_ended = True
            return False
        self._raw += data
        self._emulator.feed(data)
        if reply := answers(data, self._emulator.cursor):
            with contextlib.suppress(OSError):  # the program may ask and end
                os.write(self._master, reply)
        return True

    def _fail(self, reason: str) -> NoReturn:
        status = self.process.poll()
        state = "still running" if status is None else f"ended with {status}"
        frame = "\n".join(f"  | {line}" for line in self.screen_text.rstrip().splitlines())
        raise AssertionError(f"{reason}; the program is {state}; its screen:\n{frame}")


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra}
