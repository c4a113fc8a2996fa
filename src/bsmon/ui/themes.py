"""Colour themes: one TOML file each, from the source checkout, an installed wheel, or a person's own path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from bsmon.config.nearest import did_you_mean
from bsmon.core.errors import BadInput
from bsmon.core.text import clean
from bsmon.ui.roles import Role

NO_COLOUR = "mono"
"""The theme that needs no colours."""

_ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_KEYS = ("description", "dark", "background", "raised", "roles")


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme. `background` and `raised` (of dialogs) are #rrggbb, or "" for the terminal's own.

    `styles` maps every role to attributes and colours as rich writes them: "bold #ffffff on #000000".
    """

    name: str
    description: str
    dark: bool
    background: str
    raised: str
    styles: Mapping[Role, str]


def theme_names() -> list[str]:
    """Names of the themes that bsmon carries."""
    return sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))


def choose_theme(name: str, environment: Mapping[str, str]) -> Theme:
    """Load the theme to use: a set, non-empty NO_COLOR outranks the configuration (https://no-color.org).

    Raises BadInput as `load_theme` does.
    """
    return load_theme(NO_COLOUR if environment.get("NO_COLOR") else name)


def load_theme(name: str) -> Theme:
    """Load a theme by its name, or from the path of a .toml file.

    Raises BadInput when there is no such theme or its file is wrong.
    """
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        return _read(path, clean(path.stem), clean(name))
    if name not in theme_names():
        raise BadInput(f'There is no theme "{clean(name)}": {did_you_mean(name, theme_names())}')
    return _read(_folder() / f"{name}.toml", name, f"themes/{name}.toml")


def _folder() -> Traversable:
    installed = files("bsmon") / "themes"
    if installed.is_dir():
        return installed
    return Path(__file__).parents[3] / "themes"


def _read(source: Traversable, name: str, shown: str) -> Theme:
    try:
        text = source.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"Theme {shown} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"Theme {shown} is no valid TOML: {clean(str(error))}") from error
    return _theme(table, name, shown)


def _theme(table: Mapping[str, object], name: str, shown: str) -> Theme:
    for key in table:
        if key not in _KEYS:
            raise BadInput(f'Theme {shown}: unknown key "{clean(key)}": {did_you_mean(key, _KEYS)}')
    roles = table.get("roles", {})
    if not isinstance(roles, dict):
        raise BadInput(f"Theme {shown}: [roles] has to be a table")
    for role in roles:
        if role not in list(Role):
            raise BadInput(f'Theme {shown}: unknown role "{clean(role)}": {did_you_mean(role, list(Role))}')
    missing = [role.value for role in Role if role.value not in roles]
    if missing:
        raise BadInput(f"Theme {shown}: [roles] lacks {', '.join(missing)}")
    return Theme(
        name=name,
        description=clean(str(table.get("description", ""))),
        dark=table.get("dark") is not False,
        background=_colour(table.get("background", ""), f"Theme {shown}: background"),
        raised=_colour(table.get("raised", ""), f"Theme {shown}: raised"),
        styles={role: _style(roles[role.value], f"Theme {shown}: {role.value}") for role in Role},
    )


def _colour(value: object, where: str) -> str:
    if isinstance(value, str) and (value == "" or _HEX.fullmatch(value)):
        return value
    raise BadInput(f'{where} is {clean(repr(value))}; a colour is written "#rrggbb" ("" is the terminal\'s own)')


def _style(value: object, where: str) -> str:
    words = value.split() if isinstance(value, str) else [repr(value)]
    for index, word in enumerate(words):
        if word == "on" and index + 1 < len(words):
            continue
        if word not in _ATTRIBUTES and not _HEX.fullmatch(word):
            raise BadInput(
                f'{where} has "{clean(word)}"; a style is any of {", ".join(_ATTRIBUTES)}, a colour "#rrggbb" and '
                f'a background "on #rrggbb"'
            )
    return " ".join(words)
