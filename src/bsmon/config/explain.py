"""The schema as text: the commented file of `bsmon init`, and docs/configuration.md.

`python -m bsmon.config.explain > docs/configuration.md` writes the page anew.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from bsmon.config.base import Section
from bsmon.config.fields import Field, fields
from bsmon.config.sections import SectionKind, section_kinds
from bsmon.config.values import toml_value

_WIDTH = 100

# What the starting file sets; the rest of it is comments. Twenty seconds on one CPU core.
_STARTER: dict[str, dict[str, object]] = {
    "data": {"task": "digits"},
    "model": {"name": "cnn"},
    "optimizer": {"name": "AdamW", "lr": 1e-3},
    "run": {"name": "digits", "epochs": 200},
    "batch": {"size": 32},
}

_STARTER_HEAD = """\
# A config for `bsmon train`. It trains as it stands.
#
# A line such as "# seed = 0" shows a key with its default, or with an example where nothing is set without it.
# Take the "# " away to change it. `bsmon train FILE --set section.key=value` changes one for a single run.
"""

_PAGE_HEAD = """\
# Configuration

<!-- Made by `python -m bsmon.config.explain`; change src/bsmon/config/*_sections.py and run it again. -->

A run is one TOML file: `bsmon train config.toml`. `bsmon init` writes a commented one that trains as it stands, and
`examples/` holds more. Only `[data]` and `[model]` must be there; every other key has a default.

**Changing a value for one run**: `bsmon train config.toml --set batch.size=64 --set model.hidden=[64,64]`. The value is
TOML; what is no TOML is taken as text, so `--set run.device=cpu` needs no quotes. Text that looks like a number does:
`--set 'run.name="7"'`.

**Mistakes**: unknown sections and keys, wrong types and impossible values are errors. All of them are reported at once,
one line each, with the file, the key, the value and the nearest right one.

**Your own code**: `[data]`, `[model]` and `[loss]` take `target = "package.module:callable"` in place of a built-in.
The module is found beside the config file or among the installed packages, and the section's other keys are the
callable's arguments. A target runs code, so read a config from somebody else before you train with it. bsmon prints the
file that each target was found in before the run. `examples/own_code.toml` shows all three.
"""


def starter() -> str:
    """The file that `bsmon init` writes: it trains as it stands, and every other key stands in it as a comment."""
    return "\n".join([_STARTER_HEAD, *map(_starter_section, section_kinds().values())])


def reference() -> str:
    """docs/configuration.md: every section and key with its values, default and meaning, as Markdown."""
    return "\n".join([_PAGE_HEAD, *map(_page_section, section_kinds().values())])


def _starter_section(kind: SectionKind) -> str:
    given = _STARTER.get(kind.name, {})
    chosen = kind.variants[str(given.get(kind.selector, ""))] if kind.selector in given else kind.variants[""]
    lines = [*_comment(kind.description), f"[{kind.name}]"]
    if kind.selector in given and "" not in kind.variants:
        lines += [*_comment(_doc(chosen)), f"{kind.selector} = {toml_value(given[kind.selector])}"]
    for field in fields(chosen).values():
        lines += _setting(field, given)
    return "\n".join([*lines, *_alternatives(kind, chosen)]) + "\n"


def _setting(field: Field, given: dict[str, object]) -> list[str]:
    if field.name in given:
        return [*_comment(field.description), f"{field.name} = {toml_value(given[field.name])}"]
    if field.default is None:
        return [*_comment(f"{field.description} (No default.)"), f"# {field.name} = {toml_value(field.example)}"]
    return [*_comment(field.description), f"# {field.name} = {toml_value(field.default)}"]


def _alternatives(kind: SectionKind, chosen: type[Section]) -> Iterator[str]:
    """Comments that name what else the section could be."""
    if len(kind.variants) > 1 or kind.target is not None:
        yield ""
    for word, variant in kind.variants.items():
        if variant is not chosen:
            keys = ", ".join(fields(variant))
            yield from _comment(f"Or {kind.selector} = {toml_value(word)}. {_doc(variant)} Keys: {keys}.")
    if kind.target is not None:
        target = fields(kind.target)["target"]
        yield from _comment(f"Or target = {toml_value(target.example)}. {_doc(kind.target)}")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _page_section(kind: SectionKind) -> str:
    parts = [f"## [{kind.name}]", kind.description]
    for word, variant in kind.variants.items():
        if word:
            parts += [f"### {kind.selector} = {toml_value(word)}", _doc(variant)]
        parts.append(_table(variant))
    if kind.target is not None:
        parts += [f"### {kind.name} from a target", _doc(kind.target), _table(kind.target)]
    return "\n\n".join(parts) + "\n"


def _table(section: type[Section]) -> str:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for field in fields(section).values():
        default = "required" if field.required else "" if field.default is None else f"`{toml_value(field.default)}`"
        cells = (f"`{field.name}`", field.expected, default, field.description)
        rows.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(rows)


def _doc(section: type[Section]) -> str:
    return section.__doc__ or ""


if __name__ == "__main__":
    sys.stdout.write(reference())
