"""The starting file, the reference page and the examples hold what the schema says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bsmon.config.explain import reference, starter
from bsmon.config.fields import fields
from bsmon.config.load import load, parse
from bsmon.config.schema import CnnModel, DigitsData
from bsmon.config.sections import section_kinds

ROOT = Path(__file__).parents[3]
SETTING = re.compile(r"^# (\w+) = ", re.MULTILINE)
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def test_the_starting_file_trains_digits() -> None:
    config = parse(starter(), Path("config.toml"))
    assert config.data == DigitsData()
    assert config.model == CnnModel()
    assert (config.optimizer.name, config.optimizer.lr) == ("AdamW", 1e-3)
    assert (config.batch.size, config.run.epochs) == (32, 200)


@pytest.mark.parametrize("place", [match.span() for match in SETTING.finditer(starter())])
def test_every_commented_setting_is_valid_when_its_mark_is_taken_away(place: tuple[int, int]) -> None:
    start, end = place
    text = starter()
    uncommented = text[:start] + text[start + 2 :]
    if text[start:end] == "# max_steps = ":
        uncommented = uncommented.replace("\nepochs = 200\n", "\n")  # one of the two
    plain, changed = parse(text, Path("config.toml")), parse(uncommented, Path("config.toml"))
    shows_a_default = plain == changed
    above = text[:start].splitlines()[-1]
    assert shows_a_default != above.endswith("default.)")


def test_the_starting_file_has_every_key_of_what_it_chooses_and_names_the_rest() -> None:
    text = starter()
    for kind in section_kinds().values():
        for variant in kind.variants.values():
            assert all(re.search(rf"\b{name}\b", text) for name in fields(variant))


def test_every_field_is_described() -> None:
    for kind in section_kinds().values():
        assert kind.description.endswith((".", "steps."))
        for field in kind.all_keys().values():
            assert len(field.description) > 10, field.name
            assert field.description.endswith((".", '"', ")", "..."))


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference(), "run `python -m bsmon.config.explain > docs/configuration.md`"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_and_says_what_it_shows(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    config = load(path)
    assert config.run.name != "run"


def test_there_are_examples() -> None:
    assert {"digits.toml", "own_code.toml", "text.toml"} <= {path.name for path in EXAMPLES}
