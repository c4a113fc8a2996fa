"""The right word for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.6  # difflib's own default: "siez" finds "size", "xyz" finds nothing


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, in any case and with - for _; None where none is alike."""
    plain = {_plain(choice): choice for choice in choices}
    found = get_close_matches(_plain(word), plain, n=1, cutoff=_ALIKE)
    return plain[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """The end of a message about a wrong word: 'did you mean "size"?', else all choices; "" where there are none."""
    known = list(choices)
    match = nearest(word, known)
    if match is not None:
        return f'did you mean "{match}"?'
    return f"choose from {', '.join(known)}" if known else ""


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
