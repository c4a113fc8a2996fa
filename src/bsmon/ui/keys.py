"""The one key table: bindings, the bottom line and the help screen are all made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the run screen. `names` are textual's; `shown` is what a person reads; no `hint`: not at the bottom."""

    names: str
    shown: str
    action: str
    help: str
    hint: str = ""


KEYS = (
    Key("plus,equals_sign", "+", "scale_batch(2.0)", "double the batch size"),
    Key("minus,underscore", "-", "scale_batch(0.5)", "halve the batch size"),
    Key("b", "b", "ask_batch_size", "type a batch size and see first what it will do", "type a size"),
    Key("a", "a", "apply_advice", "do what the advisor recommends", "apply"),
    Key("x", "x", "dismiss_advice", "put the recommendation aside"),
    Key("space", "space", "pause", "pause before the next step, and go on again", "pause"),
    Key("e", "e", "evaluate", "run the validation set now"),
    Key("y", "y", "toggle_log", "logarithmic charts, and linear again"),
    Key("1", "1", "maximise('loss')", "loss alone on the screen, and back"),
    Key("2", "2", "maximise('gradients')", "gradients alone"),
    Key("3", "3", "maximise('hardware')", "memory and device alone"),
    Key("4", "4", "maximise('advisor')", "advisor alone, with the guidelines' reasons"),
    Key("5", "5", "maximise('events')", "events alone"),
    Key("M,m", "M", "maximise_last", "the last such panel again, and back"),
    Key("escape", "esc", "restore", "all panels again"),
    Key("question_mark", "?", "help", "this list", "help"),
    Key("d", "d", "app.detach", "leave the screen; training goes on, bsmon attach brings it back", "detach"),
    Key("ctrl+z", "^z", "app.suspend_process", "stop everything until fg; bg trains on without the screen"),
    Key("q,ctrl+c", "q", "quit", "quit; asks while training is unfinished", "quit"),
)

HINTS = (
    ("+ -", "batch size"),
    *((key.shown, key.hint) for key in KEYS if key.hint),
    ("y", "log"),
    ("1-5", "panel"),
)
"""Keys and words of the bottom line; the last ones go first where there is no room."""
