"""A terminal screen for tests: bytes of a program in, the characters a person would see out."""

from __future__ import annotations

import codecs
import re

import pyte

# Sequences that pyte would draw as text or stumble over: queries, keyboard protocols, colon-separated colours, device
# control and application strings.
UNSUPPORTED = re.compile(
    rb"\x1b\[[<=>][0-9;:]*[a-zA-Z]|\x1b\[\?[0-9;]*[um]|\x1b\[\??[0-9;]*[ $][a-zA-Z]|\x1b\[[0-9;]*:[0-9;:]*m"
    rb"|\x1b\[[0-9;]*t|\x1b[P_^X].*?(?:\x1b\\|\x07)",
    re.DOTALL,
)
ALTERNATE_SCREEN = re.compile(rb"(\x1b\[\?1049[hl])")
INCOMPLETE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[P_^X\]][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
PRIVATE_MODES = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
KITTY_KEYBOARD = re.compile(rb"\x1b\[([<>])[0-9;]*u")
ON_AT_START = frozenset({7, 25})  # line wrapping and the cursor


class Emulator:
    """What stands on a screen of `columns` x `rows` after the bytes fed so far.

    As in a real terminal, a full-screen program draws on an alternate screen, and what stood before is back afterwards.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._normal, self._alternate = pyte.Screen(columns, rows), pyte.Screen(columns, rows)
        self._screen = self._normal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Take output; a sequence that is cut off at the end waits for its rest."""
        data = self._held + data
        tail = INCOMPLETE.search(data)
        cut = tail.start() if tail else len(data)
        self._held = data[cut:]
        for part in ALTERNATE_SCREEN.split(data[:cut]):
            if ALTERNATE_SCREEN.fullmatch(part):
                self._switch(alternate=part.endswith(b"h"))
            else:
                pyte.Stream(self._screen).feed(self._decoder.decode(UNSUPPORTED.sub(b"", part)))

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, keeping what fits."""
        for screen in (self._normal, self._alternate):
            screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen without trailing blanks."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row of the cursor, counted from 0."""
        return self._screen.cursor.x, self._screen.cursor.y

    def _switch(self, *, alternate: bool) -> None:
        self._screen = self._alternate if alternate else self._normal
        self._alternate.reset()


def answers(data: bytes, cursor: tuple[int, int]) -> bytes:
    """Return what a terminal replies to the queries in `data`: cursor position, kind, synchronised output."""
    reply = b""
    if b"\x1b[6n" in data:
        reply += b"\x1b[%d;%dR" % (cursor[1] + 1, cursor[0] + 1)
    if b"\x1b[c" in data:
        reply += b"\x1b[?62;c"
    if b"\x1b[?2026$p" in data:
        reply += b"\x1b[?2026;2$y"
    return reply


def modes_left_on(raw: bytes) -> list[str]:
    """Name the terminal modes that all the output `raw` together leaves other than a fresh terminal has them."""
    state: dict[int, bool] = {}
    for numbers, letter in PRIVATE_MODES.findall(raw):
        state |= {int(number): letter == b"h" for number in numbers.split(b";") if number}
    left = [f"private mode {mode}" for mode, on in state.items() if on != (mode in ON_AT_START)]
    pushes = [sign for sign in KITTY_KEYBOARD.findall(raw) if sign == b">"]
    pops = [sign for sign in KITTY_KEYBOARD.findall(raw) if sign == b"<"]
    if len(pushes) > len(pops):
        left.append("keyboard protocol")
    return left
