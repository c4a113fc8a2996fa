"""Themes: the carried ones are whole, and a wrong one is told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.style import Style

from bsmon.core.errors import BadInput
from bsmon.ui.roles import Role
from bsmon.ui.themes import choose_theme, load_theme, theme_names


def test_the_carried_themes() -> None:
    assert {"night", "day", "high-contrast", "mono"} <= set(theme_names())


@pytest.mark.parametrize("name", theme_names())
def test_every_role_has_a_style(name: str) -> None:
    theme = load_theme(name)
    assert set(theme.styles) == set(Role)
    assert all(Style.parse(style) is not None for style in theme.styles.values())
    assert theme.description


def test_mono_has_no_colour() -> None:
    theme = load_theme("mono")
    styles = [Style.parse(style) for style in theme.styles.values()]
    assert all(style.color is None and style.bgcolor is None for style in styles)
    assert theme.background == ""


@pytest.mark.parametrize(("environment", "name"), [({}, "day"), ({"NO_COLOR": ""}, "day"), ({"NO_COLOR": "1"}, "mono")])
def test_no_color_outranks_the_configuration(environment: dict[str, str], name: str) -> None:
    assert choose_theme("day", environment).name == name


def test_a_misspelt_theme_names_the_nearest() -> None:
    with pytest.raises(BadInput, match='"nihgt": did you mean "night"'):
        load_theme("nihgt")


def test_a_theme_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(["[roles]", *(f'{role.value} = "bold #102030"' for role in Role)]))
    theme = load_theme(str(path))
    assert theme.name == "mine"
    assert theme.styles[Role.INK] == "bold #102030"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[roles", "no valid TOML"),
        ('colour = "#000000"', 'unknown key "colour"'),
        ('[roles]\nimk = "#000000"', 'unknown role "imk": did you mean "ink"'),
        ('[roles]\nink = "#000000"', "lacks strong"),
        ('background = "black"', 'a colour is written "#rrggbb"'),
        ("roles = 3", "has to be a table"),
        ('ink = "blue"', 'ink has "blue"'),
        ('ink = "on"', 'ink has "on"'),
        ("ink = 3", 'ink has "3"'),
    ],
)
def test_a_wrong_theme_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    if text.startswith("ink"):
        rest = [f'{role.value} = ""' for role in Role if role is not Role.INK]
        text = "\n".join(["[roles]", text, *rest])
    elif text.startswith("background"):
        text = "\n".join([text, "[roles]", *(f'{role.value} = ""' for role in Role)])
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load_theme(str(path))
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml cannot be read"):
        load_theme("/nowhere.toml")
