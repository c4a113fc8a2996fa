"""Nearest words and sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsmon.config.nearest import did_you_mean, nearest
from bsmon.config.sizes import parse_bytes
from bsmon.core.errors import BadInput


@pytest.mark.parametrize(
    ("word", "choices", "found"),
    [
        ("siez", ["size", "min"], "size"),
        ("SIZE", ["size", "min"], "size"),
        ("adamw", ["Adam", "AdamW"], "AdamW"),
        ("cats_vs_dogs", ["cats-vs-dogs"], "cats-vs-dogs"),
        ("zzz", ["size"], None),
        ("size", [], None),
        ("", ["size"], None),
    ],
)
def test_the_nearest_word(word: str, choices: list[str], found: str | None) -> None:
    assert nearest(word, choices) == found


def test_what_to_say_about_a_wrong_word() -> None:
    assert did_you_mean("siez", iter(["size", "min"])) == 'did you mean "size"?'
    assert did_you_mean("zzz", ["size", "min"]) == "choose from size, min"
    assert did_you_mean("zzz", []) == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512B", 512), ("1 KB", 1000), ("1KiB", 1024), ("6GiB", 6 * 2**30), ("1.5 MB", 1_500_000)],
)
def test_a_size_in_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "6", "GiB", "-1GB", "6 gigs", "6GiB\n", "1e3MB", "6gib", "٣GB", "6  GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(BadInput, match="is no size"):
        parse_bytes(text)


@given(st.integers(0, 10**12), st.sampled_from(["KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_grows_with_its_number(number: int, unit: str) -> None:
    assert parse_bytes(f"{number + 1}{unit}") > parse_bytes(f"{number}{unit}") >= number
