"""The text of task text, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bsmon.config.schema import Config, TextData
from bsmon.engine.tasks.problems import input_file, problem


@dataclass(frozen=True, slots=True)
class Text:
    """A text, what a person knows it by, and its file (None: bsmon carries it)."""

    text: str
    name: str
    path: Path | None


def read_text(config: Config, section: TextData) -> Text:
    """The text that [data] names, line ends as newlines.

    Without a path: Jane Austen, "Pride and Prejudice", chapters 1 to 12; see carried/README.md.
    Raises BadInput for a file that is missing or is not UTF-8.
    """
    if section.path is None:
        file = files("bsmon.engine.tasks") / "carried" / "pride_and_prejudice.txt"
        return Text(file.read_text(encoding="utf-8"), "Pride and Prejudice, chapters 1 to 12", None)
    path = input_file(config.path, "data.path", section.path)
    raw = path.read_bytes()
    try:
        return Text(raw.decode("utf-8-sig").replace("\r\n", "\n"), path.name, path)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        text = f"the file is not UTF-8 text: byte {error.start:,} (line {line:,}) is 0x{raw[error.start]:02x}"
        raise problem(config.path, "data.path", text) from error


def divide(config: Config, section: TextData, characters: int) -> tuple[int, int]:
    """How many characters are trained on, and how many at the end are held out.

    Raises BadInput where a part is too short for one window and the character after it.
    """
    held = round(characters * section.validation)
    train, needed = characters - held, section.context + 1
    if train < needed:
        raise problem(
            config.path,
            "data.context",
            f"one sample of {section.context} characters needs {needed}, and the text has {train:,} to train on; "
            "give a longer text or a smaller context",
        )
    if 0 < held < needed:
        raise problem(
            config.path,
            "data.validation",
            f"the held-out end of the text has {held:,} characters, one sample of {section.context} needs {needed}; "
            "hold out more, nothing (0), or lower data.context",
        )
    return train, held


def windows(characters: int, context: int, stride: int) -> int:
    """How many windows of `context` characters, `stride` apart, have a character after each of theirs."""
    return (characters - context - 1) // stride + 1
