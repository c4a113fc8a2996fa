from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bsmon.cli import bsmon
from bsmon.cli.lr_chart import chart, report
from bsmon.cli.sweep_table import report as sweep_report
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import BadInput
from bsmon.trials.lr_find import RangeTest
from bsmon.trials.sweep import Plan, Row

SMALL = """
[data]
task = "cats-vs-dogs"
samples = 200
validation_samples = 40
features = 8
signal = 3.0
[model]
name = "mlp"
hidden = [8]
[optimizer]
name = "SGD"
lr = 0.1
[batch]
size = 32
[run]
device = "cpu"
threads = 1
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.toml"
    path.write_text(SMALL)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(bsmon, [str(argument) for argument in arguments], standalone_mode=False)


def as_json(*arguments: object) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exception is None, result.output
    found = json.loads(result.output)
    assert isinstance(found, list)
    return found


def test_lr_find_suggests_a_rate_for_each_size_and_leaves_nothing_behind(config: Path) -> None:
    tests = as_json("lr-find", config, "--batch-size", "16,64", "--steps", "60", "--to", "100")
    assert [test["batch_size"] for test in tests] == [16, 64]
    for test in tests:
        assert 1e-3 < test["suggestion"] < 10
        assert len(test["losses"]) == len(test["learning_rates"]) <= 60
        assert test["learning_rates"][0] == 1e-6
    assert [path.name for path in config.parent.iterdir()] == ["run.toml"]


def test_lr_find_tests_the_configs_own_size_and_says_how_it_ended(config: Path) -> None:
    result = run("lr-find", config, "--steps", "40", "--to", "0.01")
    assert "Batch size 32: mean loss" in result.output
    assert "ended after 40 updates, the loss did not explode" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lr-find", "--from", "1", "--to", "0.1"), "--from 1 must be below --to 0.1"),
        (("lr-find", "--batch-size", "16,201"), "a batch of 201 is more than the 200 training samples"),
        (("sweep", "--sizes", "16,500"), "a batch of 500 is more than the 200 training samples"),
        (("sweep", "--light", "--sizes", "8"), "--light stands for --sizes 16,32,64"),
        (("sweep", "--set", "batch.sice=3"), 'did you mean "size"?'),
    ],
)
def test_bad_input(config: Path, arguments: tuple[str, ...], message: str) -> None:
    command, *options = arguments
    result = run(command, config, *options)
    assert isinstance(result.exception, BadInput)
    assert message in str(result.exception)


def test_sweep_light_compares_three_sizes_on_the_same_samples(config: Path) -> None:
    rows = as_json("sweep", config, "--light", "--epochs", "2", "--sharpness")
    assert [row["batch_size"] for row in rows] == [16, 32, 64]
    assert [row["updates"] for row in rows] == [26, 14, 8]  # 13, 7 and 4 an epoch, the last one short
    assert [row["learning_rate"] for row in rows] == [0.05, 0.1, 0.2]  # SGD: linear
    assert [row["verdict"] for row in rows] == ["good", "marginal", "marginal"]
    for row in rows:
        assert row["samples_per_second"] > 0
        assert row["validation_loss"] < 0.8
        assert row["gradient_variance"] == pytest.approx(row["predicted_variance"], rel=0.7)
        assert math.isfinite(row["sharpness"])
    assert sorted(path.name for path in config.parent.iterdir()) == ["run.toml"]


def test_sweep_takes_the_usual_sizes_as_far_as_the_data_go(config: Path) -> None:
    rows = as_json("sweep", config, "--epochs", "0.2")
    assert [row["batch_size"] for row in rows] == [8, 16, 32, 64, 128]


def test_a_size_that_the_model_refuses_is_a_row_and_not_the_end(config: Path) -> None:
    batchnorm = ("--set", 'model.norm="batch"')
    rows = as_json("sweep", config, *batchnorm, "--sizes", "1,16", "--epochs", "0.5")
    assert "Expected more than 1 value per channel" in rows[0]["failure"]
    assert rows[0]["final_loss"] is None
    assert rows[1]["failure"] == ""
    assert rows[1]["final_loss"] > 0
    assert "failed:" in run("sweep", config, *batchnorm, "--sizes", "1,16", "--epochs", "0.5").output


RATES = tuple(10 ** (power / 10) for power in range(-30, 1))
FALLING = tuple(2.0 - index / 20 for index in range(len(RATES)))


def test_the_chart_cuts_off_what_rises_far_above_the_start() -> None:
    test = RangeTest(32, RATES, (*((2.0,) * 15), *((4.0,) * 5), *((1.0,) * 11)), None, exploded=False)
    bars = [line.split()[1] for line in list(chart(test))[:4]]
    assert bars[0].count("#") == 22  # half way from 1 to the cut at 3
    assert [bar.endswith("#>") for bar in bars] == [False, False, False, True]


def test_the_chart_marks_the_suggestion_once_and_leaves_the_explosion_out() -> None:
    test = RangeTest(32, RATES, (*FALLING[:-1], 500.0), 0.1, exploded=True)
    lines = list(chart(test))
    assert len(lines) == 6  # stretches of five losses
    assert [index for index, line in enumerate(lines) if "falls fastest" in line] == [4]  # 0.063 to 0.16


@pytest.mark.parametrize("losses", [(math.nan,) * 5, (math.nan, 1.0, 1.0), (1.0,) * 3])
def test_the_chart_survives_flat_and_broken_losses(losses: tuple[float, ...]) -> None:
    test = RangeTest(8, RATES[: len(losses)], losses, None, exploded=False)
    assert "n/a" in "\n".join(report([test], 5))


def test_suggestions_stand_beside_the_linear_rule() -> None:
    tests = [RangeTest(size, RATES, FALLING, rate, exploded=False) for size, rate in ((16, 0.01), (64, 0.05))]
    lines = list(report(tests, len(RATES)))
    assert [line.split() for line in lines[-3:-1]] == [["16", "0.01", "0.01"], ["64", "0.05", "0.04"]]


def test_the_sweep_table_is_aligned_and_names_the_best() -> None:
    rows = [
        Row(16, 0.05, 12.5, "good", 26, 1234.5, 0.5, 0.6, 0.8, 0.4, 0.4),
        Row(32, 0.1, 6.25, "marginal", 14, 2345.6, 0.55, None, None, None, 0.2),
        Row(64, 0.2, 3.1, "marginal", failure="ValueError: \x1b[2J"),
    ]
    table = list(sweep_report(Plan((16, 32, 64), 400, LearningRateRule.LINEAR), rows))
    assert len({len(line) for line in table[:3]}) == 1
    assert "n/a" in table[2]
    assert "\x1b" not in table[3]
    assert "Lowest validation loss: 16." in table  # 32 has none
    assert "Most samples per second: 32." in table


OWN = """
import torch

def data():
    print("data made")
    return torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))

class Model(torch.nn.Linear):
    def __init__(self, fails=False):
        super().__init__(4, 2)
        self.fails = fails

    def forward(self, rows):
        if self.fails:
            raise KeyError("lost \\x1b[2J")
        return super().forward(rows)
"""
OWN_CONFIG = """
[data]
target = "mine_{name}:data"
[model]
target = "mine_{name}:Model"
{arguments}
[run]
device = "cpu"
threads = 1
"""


def own_config(folder: Path, name: str, arguments: str = "") -> Path:
    (folder / f"mine_{name}.py").write_text(OWN)
    path = folder / "own.toml"
    path.write_text(OWN_CONFIG.format(name=name, arguments=arguments))
    return path


@pytest.mark.parametrize("command", [("lr-find", "--steps", "20"), ("sweep", "--sizes", "16"), ("check", "--build")])
def test_what_the_persons_code_prints_does_not_spoil_the_answer(tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *options = command
    path = own_config(tmp_path, name.replace("-", "_"))
    result = run(name, path, *options, "--json")
    assert result.exception is None, result.output
    assert json.loads(result.stdout)
    assert "data made" in result.stderr


@pytest.mark.parametrize("command", [("lr-find", "--steps", "20"), ("sweep", "--sizes", "16")])
def test_an_error_of_the_persons_code_is_shown_whole_and_clean(tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *options = command
    path = own_config(tmp_path, f"{name.replace('-', '_')}_fails", "fails = true")
    result = run(name, path, *options)
    assert result.return_value == 1
    assert 'raise KeyError("lost' in result.stderr
    assert "\x1b" not in result.stderr


def test_several_ranks_are_for_training_and_it_is_said(config: Path) -> None:
    """Also where there are not so many GPUs."""
    alone = run("lr-find", config, "--steps", 20, "--json")
    told = run("lr-find", config, "--steps", 20, "--json", "--set", "run.world_size=64")
    assert "run.world_size = 64 is for bsmon train; here one rank trains the whole batch" in told.stderr
    assert json.loads(told.stdout) == json.loads(alone.stdout)
    assert "world_size" not in alone.stderr
