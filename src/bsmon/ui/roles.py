"""Styled text as data: what panels make and the screen draws. A role names a meaning; a theme gives it a colour."""

from __future__ import annotations

from enum import StrEnum

Run = tuple[str, str]
"""Text and the role it is drawn in."""

Row = tuple[Run, ...]
"""One line of the screen. The text holds printable characters only."""


BLANK: Row = ()


class Role(StrEnum):
    """What a piece of text means."""

    INK = "ink"  # plain text
    STRONG = "strong"  # what the eye should meet first
    DIM = "dim"  # units, labels
    RULE = "rule"  # lines that part the panels, empty parts of bars
    TITLE = "title"
    KEY = "key"  # a key that can be pressed
    BADGE = "badge"  # the batch size
    ACCENT = "accent"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    RAW = "raw"  # the loss of every batch
    SMOOTHED = "smoothed"
    VALIDATION = "validation"
    GRADIENT = "gradient"
    MARK = "mark"  # a change of the batch size
    MEMORY_RUN = "memory_run"
    MEMORY_CACHE = "memory_cache"
    MEMORY_OTHER = "memory_other"
