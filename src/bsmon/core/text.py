"""Text from outside made safe for a terminal: names, paths, classes and exceptions may hold escape codes."""

from __future__ import annotations

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""Stands for every character that must not reach a terminal."""


def clean(text: str) -> str:
    """Return `text` on one line with every unprintable character replaced by a visible mark.

    Unprintable is what `str.isprintable` says: C0 and C1 controls (ESC starts the codes that move the cursor or write
    the clipboard), line ends, direction overrides and lone surrogates. The length stays the same. A caller that wants
    line breaks splits first.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else REPLACEMENT for character in text)
