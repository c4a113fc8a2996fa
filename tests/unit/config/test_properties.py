"""Properties of the loader over all configs: what is written is read back, and nothing but BadInput comes out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bsmon.config.base import TargetSection
from bsmon.config.fields import Field, fields
from bsmon.config.load import parse
from bsmon.config.sections import section_kinds
from bsmon.config.values import toml_key, toml_value
from bsmon.core.errors import BadInput

PATH = Path("run.toml")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | text
    | st.dates()
    | (st.datetimes() | st.times()).map(lambda moment: moment.replace(fold=0))  # TOML has no fold
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
known_keys = sorted({key for kind in section_kinds().values() for key in [*kind.all_keys(), kind.selector] if key})
known_words = sorted(
    {word for kind in section_kinds().values() for word in kind.variants} | {"auto", "a:b", "6GiB", "fp16", "cpu"}
)
keys = st.sampled_from(known_keys) | text
plausible = values | st.sampled_from(known_words) | st.integers(-1, 100)
tables = st.dictionaries(
    st.sampled_from(list(section_kinds())) | text, st.dictionaries(keys, plausible, max_size=5) | plausible, max_size=8
)


def as_toml(table: dict[str, Any]) -> str:
    return "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in table.items())


def told(text: str, overrides: list[str]) -> str:
    """What the person is told; "" when the config is right."""
    try:
        parse(text, PATH, overrides)
    except BadInput as error:
        return str(error)
    return ""


@given(values)
@example("\x1b\x7f\u202e\U000e0001\\\"'")
@example([1e16, -0.0, 5e-324])
def test_a_value_reads_back_as_itself(value: object) -> None:
    written = toml_value(value)
    assert written.isprintable()
    assert repr(tomllib.loads(f"x = {written}")["x"]) == repr(value)  # repr: nan is not equal to itself


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(tables, st.lists(text | st.builds("{}.{}={}".format, st.sampled_from(list(section_kinds())), keys, text)))
@example({"a": {"x": 1}}, ["a.x.y=1"])
@example({}, ["run.name=\x1b]52;c;AAAA\x07"])
def test_any_table_is_a_config_or_bad_input_that_is_safe_to_print(table: dict[str, Any], overrides: list[str]) -> None:
    assert all(line.isprintable() for line in told(as_toml(table), overrides).split("\n"))


@given(st.text())
def test_any_text_is_a_config_or_bad_input(anything: str) -> None:
    with pytest.raises(BadInput):  # [data] cannot come about by chance
        parse(anything, PATH)


# Fields that rules tie to others, and patterns that hypothesis cannot guess: values that always go together.
FIXED: dict[str, st.SearchStrategy[Any]] = {
    "target": st.from_regex(r"\A[a-z_]\w{0,5}(\.[a-z]{1,5})?:[A-Z]\w{0,5}\Z", fullmatch=True),
    "device": st.sampled_from(["auto", "cpu", "cuda:3"]),
    "precision": st.sampled_from(["fp32", "bf16"]),
    "run.name": st.from_regex(r"\A\w[\w. -]{0,20}\Z", fullmatch=True),
    "memory.budget": st.sampled_from(["6GiB", "1.5 TB", "100B"]),
    "probe_weight": st.just("fc1.weight[50,30]"),
    "batch.size": st.integers(16, 64),
    "batch.min": st.integers(1, 16),
    "batch.max": st.integers(64, 10**6),
    "micro_batch_size": st.just("auto") | st.integers(1, 16),
    "width": st.integers(1, 9).map(lambda n: 64 * n),
    "heads": st.sampled_from([1, 2, 4]),
    "warmup_epochs": st.floats(0, 1),
}
NOT_FREE = {
    "max_steps",
    "world_size",
    "step_epochs",
    "gamma",
    "final",
    "label_smoothing",
}  # valid only beside certain others


def value_for(section: str, field: Field) -> st.SearchStrategy[Any]:
    fixed = FIXED.get(f"{section}.{field.name}", FIXED.get(field.name))
    return _by_words(field) if fixed is None else fixed


def _by_words(field: Field) -> st.SearchStrategy[Any]:
    """Values from the words that describe the field: so those words are tested, too."""
    bound = re.search(r"(?:of at least|from|above) ([0-9.]+)", field.expected)
    low = float(bound[1]) if bound else 0
    if field.choices:
        return st.sampled_from(field.choices)
    if field.expected.startswith("a list"):
        return st.lists(st.integers(1, 512), min_size=1, max_size=3)
    if field.expected == "true or false":
        return st.booleans()
    if field.expected.startswith("a whole number"):
        return st.integers(int(low), int(low) + 1000)
    if field.expected.startswith("a number"):
        return st.floats(low, low + 0.9, exclude_min="above" in field.expected)
    assert field.expected == "text"
    return st.text(min_size=1, max_size=10).filter(lambda s: all(c.isprintable() for c in s))


@st.composite
def valid_tables(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for kind in section_kinds().values():
        word, chosen = draw(st.sampled_from(sorted(kind.variants.items())))
        if kind.target is not None and draw(st.booleans()):
            word, chosen = "", kind.target
        section: dict[str, Any] = {kind.selector: word} if word else {}
        for name, field in fields(chosen).items():
            if name not in NOT_FREE and (field.required or draw(st.booleans())):
                section[name] = draw(value_for(kind.name, field))
        if issubclass(chosen, TargetSection):
            section["argument"] = draw(values.filter(lambda value: "nan" not in repr(value)))
        table[kind.name] = section
    return table


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(valid_tables())
def test_a_valid_config_is_read_as_it_is_written(table: dict[str, dict[str, Any]]) -> None:
    config = parse(as_toml(table), PATH)
    for name, section in table.items():
        read = structs.asdict(getattr(config, name))
        read |= read.pop("arguments", {})
        for key, value in section.items():
            if key != section_kinds()[name].selector or key in read:
                assert read[key] == (tuple(value) if isinstance(read[key], tuple) else value)
