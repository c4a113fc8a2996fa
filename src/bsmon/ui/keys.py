"""The one key table: bindings, the bottom line and the help screen are all made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """What a key is about; the help screen's headings."""

    CHANGE = "Change the training"
    RUN = "The run"
    LOOK = "Look"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the run screen. `names` are textual's; `shown` is what a person reads; no `hint`: not at the bottom.

    `help` fits into half a small terminal: 28 cells.
    """

    group: Group
    names: str
    shown: str
    action: str
    help: str
    hint: str = ""


KEYS = (
    Key(Group.CHANGE, "plus,equals_sign", "+", "scale_batch(2.0)", "double the batch size"),
    Key(Group.CHANGE, "minus,underscore", "-", "scale_batch(0.5)", "halve the batch size"),
    Key(Group.CHANGE, "b", "b", "ask_batch_size", "batch dial: see, then apply", "dial"),
    Key(Group.CHANGE, "l", "l", "ask_learning_rate", "learning rate", "LR"),
    Key(Group.CHANGE, "u", "u", "undo", "take the last change back", "undo"),
    Key(Group.CHANGE, "a", "a", "apply_advice", "do what the advisor says", "apply"),
    Key(Group.CHANGE, "x", "x", "dismiss_advice", "put the advice aside"),
    Key(Group.CHANGE, "r", "r", "release", "release what is by hand"),
    Key(Group.RUN, "space", "space", "pause", "pause, and go on", "pause"),
    Key(Group.RUN, "e", "e", "evaluate", "run the validation set now"),
    Key(Group.RUN, "s", "s", "save", "write a checkpoint now", "save"),
    Key(Group.RUN, "d", "d", "app.detach", "leave; training goes on", "detach"),
    Key(Group.RUN, "ctrl+z", "^z", "app.suspend_process", "stop until fg, or bg"),
    Key(Group.RUN, "q,ctrl+c", "q", "quit", "quit; asks first", "quit"),
    Key(Group.LOOK, "1", "1", "maximise('loss')", "loss alone, and back"),
    Key(Group.LOOK, "2", "2", "maximise('gradients')", "gradients alone"),
    Key(Group.LOOK, "3", "3", "maximise('hardware')", "memory and device alone"),
    Key(Group.LOOK, "4", "4", "maximise('advisor')", "advisor, with its reasons"),
    Key(Group.LOOK, "enter", "enter", "explain", "why the advisor says it"),
    Key(Group.LOOK, "up", "↑", "choose(-1)", "its question above"),
    Key(Group.LOOK, "down", "↓", "choose(1)", "its question below"),
    Key(Group.LOOK, "5", "5", "maximise('events')", "all events"),
    Key(Group.LOOK, "g", "g", "maximise('layers')", "gradients of every layer"),
    Key(Group.LOOK, "o", "o", "maximise('log')", "what the program printed"),
    Key(Group.LOOK, "M,m", "M", "maximise_last", "the last such panel again"),
    Key(Group.LOOK, "escape", "esc", "restore", "all panels again"),
    Key(Group.LOOK, "y", "y", "toggle_log", "logarithmic charts, and back"),
    Key(Group.LOOK, "question_mark", "?", "help", "this list", "help"),
)

# In the order of the bottom line: the last ones go first where there is no room.
_HINTED = ("b", "a", "space", "?", "d", "q", "l", "u", "s")

HINTS = (
    ("+ -", "batch"),
    *((key.shown, key.hint) for shown in _HINTED for key in KEYS if key.shown == shown),
    ("1-5", "panel"),
    ("enter", "why"),
    ("g", "layers"),
    ("o", "log"),
)
"""Keys and words of the bottom line."""
