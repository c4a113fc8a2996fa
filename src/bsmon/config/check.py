"""A TOML table -> the sections of the schema, with every problem on the way noted."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import ValidationError, convert

from bsmon.config.base import Section
from bsmon.config.fields import Field, fields, takes_arguments
from bsmon.config.nearest import did_you_mean, nearest
from bsmon.config.problems import Problems
from bsmon.config.sections import SectionKind, home_of, section_kinds
from bsmon.config.values import kind_of, toml_value


def check_sections(table: Mapping[str, object], problems: Problems) -> dict[str, Section]:
    """The sections of `table` that are right, by name. Whatever is wrong is added to `problems`."""
    kinds = section_kinds()
    for name, value in table.items():
        if name not in kinds:
            _unknown_section(name, value, problems)
    checked = {name: _check_section(kind, table, problems) for name, kind in kinds.items()}
    return {name: section for name, section in checked.items() if section is not None}


def _unknown_section(name: str, value: object, problems: Problems) -> None:
    home = home_of(name, outside="")
    if isinstance(value, Mapping):
        problems.add((name,), f"there is no section [{name}]; {did_you_mean(name, section_kinds())}")
    elif home is not None:
        problems.add((name,), f"this stands outside any section; did you mean {home}?", value)
    else:
        problems.add((name,), "this stands outside any section; every key belongs under a [section]", value)


def _check_section(kind: SectionKind, table: Mapping[str, object], problems: Problems) -> Section | None:
    if kind.name not in table:
        if kind.required:
            problems.add((), f"the section [{kind.name}] is missing. {kind.description} {_ways(kind)}")
            return None
        return kind.variants[""]()
    values = table[kind.name]
    if not isinstance(values, Mapping):
        problems.add((kind.name,), f"expected a section [{kind.name}], got {kind_of(values)}", values)
        return None
    chosen = _choose(kind, values, problems)
    return _build(kind, chosen, values, problems) if chosen is not None else None


def _choose(kind: SectionKind, values: Mapping[str, object], problems: Problems) -> type[Section] | None:
    """The class that the section is to be read as, by its task, name or target."""
    key = (kind.name, kind.selector)
    if kind.target is not None and "target" in values:
        if kind.selector not in values:
            return kind.target
        problems.add(key, f"give {kind.selector} or target, not both", values[kind.selector])
        return None
    if "" in kind.variants:
        return kind.variants[""]
    if kind.selector not in values:
        problems.add(key, f"this key is missing. {_ways(kind)}")
        return None
    word = values[kind.selector]
    if isinstance(word, str) and word in kind.variants:
        return kind.variants[word]
    hint = f"; {did_you_mean(word, kind.variants)}" if isinstance(word, str) else f". {_ways(kind)}"
    problems.add(key, f"there is no such {kind.selector}{hint}", word)
    return None


def _ways(kind: SectionKind) -> str:
    words = ", ".join(f'"{word}"' for word in kind.variants)
    return f'Give {kind.selector} = one of {words}, or target = "package.module:callable".'


def _build(
    kind: SectionKind, chosen: type[Section], values: Mapping[str, object], problems: Problems
) -> Section | None:
    """The section, where nothing in it is wrong."""
    known = fields(chosen)
    before = len(problems.found)
    given = {name: value for name, value in values.items() if name in known}
    free = {name: value for name, value in values.items() if name not in known and name != _tag_of(chosen)}
    converted = {name: _converted(kind.name, known[name], value, problems) for name, value in given.items()}
    for name, field in known.items():
        if field.required and name not in given:
            problems.add((kind.name, name), f"this key is missing. {field.description}")
    if takes_arguments(chosen):
        converted["arguments"] = free
    else:
        for name, value in free.items():
            problems.add((kind.name, name), _unknown_key(kind, chosen, name), value)
    return chosen(**converted) if len(problems.found) == before else None


def _tag_of(chosen: type[Section]) -> str | None:
    return chosen.__struct_config__.tag_field


def _converted(section: str, field: Field, value: object, problems: Problems) -> object:
    """`value` as the field's type; None with a problem noted where it does not fit."""
    if isinstance(value, float) and not math.isfinite(value):  # msgspec lets infinity pass
        hint = ", and finite."
    else:
        try:
            return convert(value, field.annotation)
        except ValidationError as error:
            # "at $[0]" would be an item of a list that is right by itself.
            hint = _hint(field, value, wrong_type=", got `" in str(error) and "$[" not in str(error))
    problems.add((section, field.name), f"expected {field.expected}{hint} {field.description}", value)
    return None


def _hint(field: Field, value: object, wrong_type: bool) -> str:
    """The end of the sentence: what to write instead, or what sort of value was given."""
    if isinstance(value, str):
        match = nearest(value, field.choices)
        if match is not None:
            return f'; did you mean "{match}"?'
        if _fits_unquoted(field, value):
            return ", got text; leave out the quotes."
    return f", got {kind_of(value)}." if wrong_type else "."


def _fits_unquoted(field: Field, text: str) -> bool:
    for as_number in (int, float):
        try:
            convert(as_number(text), field.annotation)
        except ValueError:  # ValidationError is one
            continue
        return True
    return text in ("true", "false") and field.expected == "true or false"


def _unknown_key(kind: SectionKind, chosen: type[Section], name: str) -> str:
    """One sentence about a key that the section does not have."""
    known = list(fields(chosen))
    others = [word for word, variant in kind.variants.items() if variant is not chosen and name in fields(variant)]
    if others:
        return (
            f"only {kind.selector} = {' or '.join(map(toml_value, others))} has this key; {did_you_mean(name, known)}"
        )
    home = home_of(name, outside=kind.name)
    hint = f"did you mean {home}?" if home is not None else did_you_mean(name, known)
    return f"there is no such key in [{kind.name}]; {hint}"
