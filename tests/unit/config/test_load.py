"""A right config is read as it is written, and --set is laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsmon.config.load import load, parse
from bsmon.config.schema import (
    Batch,
    CatsVsDogsData,
    CnnModel,
    Config,
    DataTarget,
    DigitsData,
    MlpModel,
    NamedLoss,
    TargetSection,
)

GOOD = '[data]\ntask = "digits"\n[model]\nname = "mlp"\n'


def config(text: str, *overrides: str) -> Config:
    return parse(text, Path("run.toml"), overrides)


def test_what_is_left_out_takes_its_default() -> None:
    read = config(GOOD)
    assert read.data == DigitsData()
    assert read.model == MlpModel()
    assert read.loss == NamedLoss()
    assert read.batch == Batch()
    assert read.path == "run.toml"


def test_a_run_without_a_length_has_ten_epochs() -> None:
    assert config(GOOD).run.epochs == 10
    assert config(GOOD, "run.max_steps=5").run.epochs is None


def test_values_take_the_field_s_type() -> None:
    read = config(GOOD + "hidden = [64, 32]\n[optimizer]\nlr = 1\n[batch]\nmicro_batch_size = 8\n")
    assert read.model == MlpModel(hidden=(64, 32))
    assert isinstance(read.optimizer.lr, float)
    assert read.batch.micro_batch_size == 8


def test_other_keys_of_a_target_and_of_the_optimizer_are_arguments() -> None:
    read = config(
        '[data]\ntarget = "code:data"\ndomain = "text"\nroot = "/x"\n'
        '[model]\ntarget = "pkg.code:Net.make"\nwidth = 3\n'
        '[loss]\ntarget = "code:loss"\n'
        "[optimizer]\nbetas = [0.9, 0.95]\n"
    )
    assert read.data == DataTarget(target="code:data", domain="text", arguments={"root": "/x"})
    assert read.model == TargetSection(target="pkg.code:Net.make", arguments={"width": 3})
    assert read.loss == TargetSection(target="code:loss")
    assert read.optimizer.arguments == {"betas": [0.9, 0.95]}


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        (GOOD, "images"),
        (GOOD.replace("digits", "text"), "text"),
        (GOOD.replace("digits", "long-tail"), None),
        (GOOD.replace('"digits"', '"long-tail"\ndomain = "other"'), "other"),
        (GOOD.replace('task = "digits"', 'target = "a:b"'), None),
    ],
)
def test_the_domain_is_the_data_s(text: str, domain: str | None) -> None:
    assert config(text).domain == domain


def test_overrides_replace_add_and_make_sections() -> None:
    read = config(
        GOOD + "[batch]\nsize = 8\n",
        "batch.size=64",
        "model.hidden=[64, 64]",
        "run.device=cpu",
        "optimizer.weight_decay=0.1",
        "batch.size=128",
    )
    assert read.batch.size == 128
    assert read.model == MlpModel(hidden=(64, 64))
    assert read.run.device == "cpu"
    assert read.optimizer.arguments == {"weight_decay": 0.1}


def test_an_override_can_change_the_task() -> None:
    assert config(GOOD, "data.task=cats-vs-dogs", "data.samples=10").data == CatsVsDogsData(samples=10)
    assert config(GOOD, "model.name=cnn").model == CnnModel()


def test_an_override_s_value_is_toml_or_else_text() -> None:
    arguments = config(
        GOOD,
        "optimizer.a=[1, 2]",
        'optimizer.b="7"',
        "optimizer.c=x = y",
        "optimizer.d=1\nsmuggled = 2",
        "optimizer.e.f=true",
        "optimizer.g=",
    ).optimizer.arguments
    assert arguments == {"a": [1, 2], "b": "7", "c": "x = y", "d": "1\nsmuggled = 2", "e": {"f": True}, "g": ""}


def test_a_file_is_read_with_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(file).path == str(file)
