"""The sections of the file, and the classes that each can be read as. Drawn from the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import get_args

from msgspec import structs

from bsmon.config.base import Section, TargetSection
from bsmon.config.fields import Field, fields
from bsmon.config.schema import Config


@dataclass(frozen=True, slots=True)
class SectionKind:
    """One `[section]`. `variants` are its built-ins, by the word that chooses one; "" when there is only one.

    `selector` is the key that holds the word ("task", "name"); "" in a section that has neither choice nor target.
    """

    name: str
    description: str
    required: bool
    selector: str
    variants: Mapping[str, type[Section]]
    target: type[TargetSection] | None

    def all_keys(self) -> dict[str, Field]:
        """The fields of all variants and of the target, by name."""
        classes = [*self.variants.values(), *([self.target] if self.target else [])]
        return {name: field for section in classes for name, field in fields(section).items()}


# Words that other tools use for these settings.
_KNOWN_ELSEWHERE_AS = {
    "batch_size": ("batch", "size"),
    "gradient_clip": ("train", "grad_clip"),
    "learning_rate": ("optimizer", "lr"),
    "steps": ("run", "max_steps"),
    "workers": ("train", "num_workers"),
}


@cache
def section_kinds() -> dict[str, SectionKind]:
    """All sections by name, in the order of the file."""
    return {info.name: _kind(info) for info in structs.fields(Config) if info.type is not str}


def home_of(key: str, outside: str) -> str | None:
    """The section.key that `key` was probably meant for, other than in the section `outside`; None where unsure."""
    if key in _KNOWN_ELSEWHERE_AS:
        return ".".join(_KNOWN_ELSEWHERE_AS[key])
    homes = [name for name, kind in section_kinds().items() if name != outside and key in kind.all_keys()]
    return f"{homes[0]}.{key}" if len(homes) == 1 else None


def _kind(info: structs.FieldInfo) -> SectionKind:
    classes = list(_classes(info.type))
    built_in = [c for c in classes if not issubclass(c, TargetSection)]
    targets = [c for c in classes if issubclass(c, TargetSection)]
    tag_field = built_in[0].__struct_config__.tag_field or ""
    return SectionKind(
        name=info.name,
        description=_description(info) or (built_in[0].__doc__ or ""),
        required=info.required,
        # A section with a target but one built-in class ([loss]) chooses by its own field "name".
        selector=tag_field or ("name" if targets else ""),
        variants={str(c.__struct_config__.tag or ""): c for c in built_in},
        target=targets[0] if targets else None,
    )


def _classes(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _classes(part)


def _description(info: structs.FieldInfo) -> str:
    extra = getattr(info.type, "__metadata__", ())
    return str(extra[0].description) if extra else ""
