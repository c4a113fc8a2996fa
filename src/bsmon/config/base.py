"""What all sections of the config file are built from."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NotNegativeFloat = Annotated[float, Meta(ge=0)]
Text = Annotated[str, Meta(min_length=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]

_NAME = r"[^\W0-9]\w*(\.[^\W0-9]\w*)*"
TARGET_PATTERN = rf"^{_NAME}:{_NAME}\Z"


class Section(Struct, frozen=True, kw_only=True):
    """Base of all sections: immutable, built by keyword. Values are checked when a file is loaded."""


class TargetSection(Section, frozen=True):
    """Your own code. The section's other keys are the arguments it is called with."""

    target: Annotated[
        str,
        Meta(
            pattern=TARGET_PATTERN,
            title='text like "package.module:callable"',
            description='"package.module:callable", found beside the config file or installed. It runs as your code.',
            examples=["own_code:make"],
        ),
    ]
    arguments: dict[str, object] = field(default_factory=dict)
