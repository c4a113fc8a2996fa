"""The harness itself, with programs small enough to know what they must show."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.pty_harness import Terminal
from tests.terminal_emulator import Emulator, answers, modes_left_on

ECHO = """
import os, sys, termios, tty
tty.setcbreak(0)
print("ready", flush=True)
while (key := os.read(0, 16)) != b"q":
    print("\\x1b[2J\\x1b[H" "got", key.hex(), *os.get_terminal_size(), flush=True)
sys.exit(7)
"""

SIGNALS = """
import os, signal
def told(number, frame):
    os.write(1, f"got {signal.Signals(number).name} ".encode())
signal.signal(signal.SIGWINCH, told)
signal.signal(signal.SIGUSR1, told)
os.write(1, b"ready ")  # print may not be interrupted by a handler that prints
while True:
    signal.pause()
"""

ON_HANGUP = """
import pathlib, signal, sys
def told(number, frame):
    pathlib.Path(sys.argv[1]).write_text("hung up")
    sys.exit(3)
signal.signal(signal.SIGHUP, told)
print("ready", flush=True)
signal.pause()
"""


def python(source: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", source, *arguments]


def test_keys_arrive_and_the_screen_follows() -> None:
    with Terminal(python(ECHO), columns=50, rows=10) as terminal:
        terminal.until("ready")
        terminal.press("+")
        terminal.until("got 2b 50 10")
        terminal.press("up")
        terminal.until("got 1b5b41")
        terminal.type("ab")
        terminal.until("6")
        terminal.until_gone("1b5b41")
        terminal.press("q")
        assert terminal.wait() == 7
        assert b"ready" in terminal.raw


def test_an_unknown_key_name_is_refused() -> None:
    with Terminal(python(ECHO)) as terminal, pytest.raises(ValueError, match="no key is called 'entr'"):
        terminal.press("entr")


def test_a_resize_reaches_the_program_and_the_screen() -> None:
    with Terminal(python(SIGNALS), columns=40, rows=5) as terminal:
        terminal.until("ready")
        terminal.resize(100, 30)
        terminal.until("got SIGWINCH")
        assert len(terminal.lines) == 30


def test_a_signal_reaches_the_program() -> None:
    with Terminal(python(SIGNALS)) as terminal:
        terminal.until("ready")
        terminal.signal(signal.SIGUSR1)
        terminal.until("got SIGUSR1")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait() == -signal.SIGTERM


def test_control_c_comes_from_the_terminal() -> None:
    with Terminal(python("import signal; print('ready', flush=True); signal.pause()")) as terminal:
        terminal.until("ready")
        terminal.press("ctrl+c")
        assert terminal.wait() != 0
        assert "KeyboardInterrupt" in terminal.screen_text


def test_a_hangup_is_a_lost_connection(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with Terminal(python(ON_HANGUP, str(told))) as terminal:
        terminal.until("ready")
        terminal.hangup()
        assert terminal.wait() == 3
    assert told.read_text() == "hung up"


def test_the_last_words_are_kept() -> None:
    with Terminal(python("print('x' * 30000); print('the end')"), rows=30) as terminal:
        assert terminal.wait() == 0
        assert terminal.raw.count(b"x") == 30000
        assert "the end" in terminal.screen_text


def test_a_program_that_ends_early_fails_the_wait_at_once_with_its_screen() -> None:
    with (
        Terminal(python("import sys; print('alas'); sys.exit(4)")) as terminal,
        pytest.raises(AssertionError, match=r"waited for 'never'[\s\S]*alas"),
    ):
        terminal.until("never")


def test_a_program_that_goes_on_fails_the_wait_when_the_time_is_over() -> None:
    with Terminal(python(SIGNALS)) as terminal:
        terminal.until("ready")
        with pytest.raises(AssertionError, match="still running"):
            terminal.until("never", timeout_s=0.05)
        with pytest.raises(AssertionError, match="still running"):
            terminal.wait(timeout_s=0.05)


def test_nothing_is_left_running() -> None:
    with Terminal(python(SIGNALS)) as terminal:
        terminal.until("ready")
    assert terminal.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("print('\\x1b[?1049h\\x1b[?25l\\x1b[?25h\\x1b[?1049l')", []),
        ("print('\\x1b[?1049h')", ["private mode 1049"]),
        ("print('\\x1b[?25l')", ["private mode 25"]),
        ("import tty; tty.setraw(0)", ["line settings (echo, line by line input)"]),
    ],
)
def test_what_a_program_leaves_behind_is_named(source: str, left: list[str]) -> None:
    with Terminal(python(source)) as terminal:
        terminal.wait()
        assert terminal.left_behind() == left


def test_keyboard_protocol_left_on_is_named() -> None:
    assert modes_left_on(b"\x1b[>1u") == ["keyboard protocol"]
    assert modes_left_on(b"\x1b[>1u text \x1b[<u") == []


@pytest.mark.parametrize(
    "noise",
    [
        b"\x1b[>1u",
        b"\x1b[<u",
        b"\x1b[?2026$p",
        b"\x1b[>4;2m",
        b"\x1b[38:2::1:2:3m",
        b"\x1bP>|name\x1b\\",
        b"\x1b]0;title\x07",
        b"\x1b[2 q",
        b"\x1b_Gi=1\x1b\\",
    ],
)
@pytest.mark.parametrize("cut", [None, 1, 2, 4])
def test_sequences_that_no_person_sees_leave_the_screen_alone(noise: bytes, cut: int | None) -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"a" + noise[:cut])
    emulator.feed((b"" if cut is None else noise[cut:]) + b"b")
    assert emulator.lines[0] == "ab"


def test_a_character_cut_in_two_is_whole_again() -> None:
    emulator = Emulator(20, 2)
    first, second = "é".encode()[:1], "é".encode()[1:]
    emulator.feed(first)
    emulator.feed(second)
    assert emulator.lines[0] == "é"


def test_what_stood_before_a_full_screen_program_is_back_after_it() -> None:
    emulator = Emulator(20, 2)
    emulator.feed(b"$ bsmon\x1b[?1049h\x1b[Hfull screen")
    assert emulator.lines[0] == "full screen"
    emulator.feed(b"\x1b[?1049l bye")
    assert emulator.lines[0] == "$ bsmon bye"


def test_queries_are_answered() -> None:
    assert answers(b"\x1b[6n", (4, 2)) == b"\x1b[3;5R"
    assert answers(b"\x1b[c\x1b[?2026$p", (0, 0)) == b"\x1b[?62;c\x1b[?2026;2$y"
    assert answers(b"plain", (0, 0)) == b""
