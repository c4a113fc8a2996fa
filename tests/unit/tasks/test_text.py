"""Text becomes windows of tokens whose targets are the tokens that follow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bsmon.config.schema import CharTransformerModel, Config, TextData
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.data import build_data
from bsmon.engine.tasks.task import TaskData
from bsmon.engine.tasks.text import TextWindows, encode


def build(section: TextData, config_path: str = "") -> TaskData:
    return build_data(Config(data=section, model=CharTransformerModel(), path=config_path))


@given(st.text(min_size=1))
def test_encoding_loses_nothing_and_uses_every_number(text: str) -> None:
    text = text.encode("utf-32-le", "surrogatepass").decode("utf-32-le", "ignore") or "x"
    tokens, vocabulary = encode(text)
    characters = sorted(set(text))
    assert vocabulary == len(characters)
    assert "".join(characters[token] for token in tokens.tolist()) == text


@given(
    length=st.integers(3, 60),
    context=st.integers(2, 20),
    stride=st.integers(1, 25),
)
def test_every_window_is_a_piece_of_the_text_and_none_that_fits_is_missing(
    length: int, context: int, stride: int
) -> None:
    if length < context + 1:
        length = context + 1
    windows = TextWindows(torch.arange(length, dtype=torch.int32), context, stride)
    starts = [start for start in range(0, length, stride) if start + context + 1 <= length]
    assert len(windows) == len(starts)
    for index, start in enumerate(starts):
        inputs, targets = windows[index]
        assert inputs.tolist() == list(range(start, start + context))
        assert targets.tolist() == list(range(start + 1, start + context + 1))
    with pytest.raises(IndexError):
        windows[len(starts)]


def test_fetch_is_the_stack_of_single_samples() -> None:
    windows = TextWindows(torch.arange(100, dtype=torch.int32), 8, 5)
    order = torch.tensor([3, 0, 7])
    singles = [windows[int(index)] for index in order]
    for column, fetched in enumerate(windows.fetch(order)):
        assert torch.equal(fetched, torch.stack([single[column] for single in singles]))
        assert fetched.dtype == torch.int64


def test_the_carried_text() -> None:
    data = build(TextData())
    assert data.kind == "tokens"
    assert data.outputs == 72
    assert data.input_shape == (64,)
    assert data.description.startswith("Pride and Prejudice, chapters 1 to 12: 99,909 characters")
    assert data.files == ()


def test_a_file_of_ones_own_is_found_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(("\ufeff" + "naïve 日本\r\n" * 20).encode())
    data = build(TextData(path="mine.txt", context=4, stride=1), str(tmp_path / "run.toml"))
    assert data.outputs == len(set("naïve 日本\n"))  # no byte-order mark, no carriage return
    assert data.files == data.data_paths == (str(tmp_path / "mine.txt"),)


def test_validation_is_the_end_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a" * 900 + "b" * 100)
    data = build(TextData(path="t.txt", context=9, stride=2), str(tmp_path / "run.toml"))
    assert isinstance(data.train, TextWindows)
    assert isinstance(data.validation, TextWindows)
    assert data.train.fetch(torch.arange(len(data.train)))[1].unique().tolist() == [0]
    assert data.validation.fetch(torch.arange(len(data.validation)))[0].unique().tolist() == [1]
    assert len(data.validation) == 11  # one window after the other, whatever the stride of training


@pytest.mark.parametrize(
    ("content", "section", "message"),
    [
        (None, TextData(path="bok.txt"), r'data.path: there is no file "bok.txt" in .*; did you mean "book.txt"\?'),
        (None, TextData(path="no/b.txt"), r'data.path: there is no folder ".*no", so no file "no/b.txt"'),
        (None, TextData(path="."), r'data.path: "." is a folder, not a file'),
        (b"a\nb\xff", TextData(path="book.txt"), r"not UTF-8 text: byte 3 \(line 2\) is 0xff"),
        (b"", TextData(path="book.txt"), r"one sample of 64 characters needs 65, and the text has 0 to train on"),
        (
            b"x" * 64,
            TextData(path="book.txt", validation=0),
            r"needs 65, and the text has 64 to train on; give a longer",
        ),
        (
            b"x" * 100,
            TextData(path="book.txt"),
            r"data.validation: the held-out end of the text has 10 characters, one",
        ),
    ],
)
def test_bad_input(tmp_path: Path, content: bytes | None, section: TextData, message: str) -> None:
    (tmp_path / "book.txt").write_bytes(content or b"")
    with pytest.raises(BadInput, match=message) as raised:
        build(section, str(tmp_path / "run.toml"))
    assert str(raised.value).startswith(f"{tmp_path / 'run.toml'}: data.")
