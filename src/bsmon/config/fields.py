"""The schema's fields as data: what each may hold in words, its default, and the text that describes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec import NODEFAULT, Struct, inspect, structs

_BOUNDS = (("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below"))


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a section. `default` is None where a missing key means that nothing is set."""

    name: str
    description: str
    expected: str  # in words: "a whole number of at least 1"
    choices: tuple[str, ...]  # the words that it may be, where it may be words
    annotation: Any  # what msgspec.convert checks a value against
    default: object
    required: bool
    example: object  # a value to show where there is no default


@cache
def fields(section: type[Struct]) -> dict[str, Field]:
    """The keys of a section class by name, in the order of the file. Free arguments are not among them."""
    return {info.name: _field(info) for info in structs.fields(section) if info.name != "arguments"}


def takes_arguments(section: type[Struct]) -> bool:
    """Whether the section's other keys are arguments of what it names."""
    return "arguments" in section.__struct_fields__


def _field(info: structs.FieldInfo) -> Field:
    described = inspect.type_info(info.type)
    extra = (described.extra_json_schema or {}) if isinstance(described, inspect.Metadata) else {}
    default = None if info.default is NODEFAULT else info.default
    return Field(
        name=info.name,
        description=extra.get("description", ""),
        expected=_in_words(described),
        choices=_choices(described),
        annotation=info.type,
        default=default,
        required=info.required,
        example=extra.get("examples", [default])[0],
    )


def _in_words(kind: inspect.Type, plural: bool = False) -> str:
    """A type as the end of "expected ..."."""
    match kind:
        case inspect.Metadata():
            title = (kind.extra_json_schema or {}).get("title")
            return title or _in_words(kind.type, plural)
        case inspect.UnionType():
            parts = [_in_words(part) for part in kind.types if not isinstance(part, inspect.NoneType)]
            return " or ".join(parts)
        case inspect.LiteralType():
            words = [f'"{value}"' for value in kind.values]
            return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
        case inspect.VarTupleType():
            some = " (not empty)" if kind.min_length else ""
            return f"a list{some} of {_in_words(kind.item_type, plural=True)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text"
        case inspect.IntType():
            return ("whole numbers" if plural else "a whole number") + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case _:
            raise TypeError(f"a field of the schema has a type without words: {kind}")


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    limits = [f"{words} {getattr(kind, name)}" for name, words in _BOUNDS if getattr(kind, name) is not None]
    return f" {' and '.join(limits)}" if limits else ""


def _choices(kind: inspect.Type) -> tuple[str, ...]:
    match kind:
        case inspect.Metadata():
            return _choices(kind.type)
        case inspect.UnionType():
            return tuple(word for part in kind.types for word in _choices(part))
        case inspect.LiteralType():
            return tuple(str(value) for value in kind.values)
        case _:
            return ()
