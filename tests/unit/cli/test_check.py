from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bsmon.advisor.checks import RULES, Setup
from bsmon.cli import bsmon, main
from bsmon.cli.check_report import SizeRow, size_table
from bsmon.core.commands import LearningRateRule
from bsmon.core.errors import BadInput

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
AT_480 = ("--dataset-size", "480", "--optimizer", "adam")


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(bsmon, ["check", *arguments], standalone_mode=False, **options)


def as_json(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exception is None, result.output
    found = json.loads(result.output)
    assert isinstance(found, dict)
    return found


def outcomes(*arguments: str) -> dict[str, str]:
    return {one["id"]: one["outcome"] for one in as_json(*arguments)["checks"]}


def test_document_a_table_of_updates_and_learning_rates_exactly() -> None:
    found = as_json(*AT_480, "--batch-size", "32", "--lr", "5e-4", "--sizes", "240,32,128,64")
    rows = [
        (row["batch_size"], row["updates_per_epoch"], row["verdict"], row["linear_learning_rate"])
        for row in found["sizes"]
    ]
    assert rows == [
        (32, "15", "good", 5e-4),
        (64, "7-8", "OK", 1e-3),
        (128, "3-4", "marginal", 2e-3),
        (240, "2", "too few", 3.75e-3),
    ]


def test_document_c_table_of_updates_for_cats_and_dogs_exactly() -> None:
    """C part 6, "Same network, same 1024 images"."""
    found = as_json(str(EXAMPLES / "cats-vs-dogs.toml"), "--sizes", "1,8,16,32,64,128,256,1024")
    updates = [row["updates_per_epoch"] for row in found["sizes"]]
    assert updates == ["1024", "128", "64", "32", "16", "8", "4", "1"]


@pytest.mark.parametrize(("optimizer", "own"), [("adam", True), ("sgd", False)])
def test_the_runs_own_rule_has_a_column_where_it_is_not_the_linear_one(optimizer: str, own: bool) -> None:
    output = run("--dataset-size", "480", "--batch-size", "32", "--lr", "5e-4", "--optimizer", optimizer).output
    heading = next(line for line in output.splitlines() if "updates/epoch" in line)
    assert heading.split("verdict")[1].split() == ["LR,", "linear", *(["LR,", "sqrt"] if own else [])]


def test_the_issues_command_line() -> None:
    result = run(*AT_480, "--batch-size", "240", "--lr", "4e-3")
    assert result.return_value == 1
    words = " ".join(result.output.split())  # however wide the terminal is
    assert "PROBLEM Updates per epoch" in words
    assert "480 / 240 = 2 updates per epoch: too few [A section 2]" in words
    assert "-> Use batch 68 or less" in words


@pytest.mark.parametrize(
    ("arguments", "strict", "lax"),
    [
        (("--batch-size", "32"), 0, 0),
        (("--batch-size", "128"), 1, 0),  # marginal is a warning
        (("--batch-size", "240"), 1, 1),
    ],
)
def test_exit_status(arguments: tuple[str, ...], strict: int, lax: int) -> None:
    assert run("--dataset-size", "480", *arguments).return_value == lax
    assert run("--dataset-size", "480", *arguments, "--strict").return_value == strict


@pytest.mark.parametrize(
    ("options", "name", "outcome"),
    [
        (("--batchnorm", "--batch-size", "8"), "batchnorm", "problem"),
        (("--no-batchnorm", "--batch-size", "8"), "batchnorm", "ok"),
        (("--batchnorm", "--batch-size", "64", "--micro-batch-size", "8"), "batchnorm", "problem"),
        (("--no-shuffle",), "shuffle", "problem"),
        (("--shuffle",), "shuffle", "ok"),
        (("--domain", "images", "--batch-size", "16"), "domain-batch", "warning"),
        (("--domain", "text", "--batch-size", "16"), "domain-batch", "ok"),
        (("--memory", "4GiB", "--batch-size", "64"), "memory-batch", "warning"),
        (("--memory", "8GiB", "--batch-size", "64"), "memory-batch", "ok"),
        (("--dataset-size", "1000", "--batch-size", "32", "--no-drop-last"), "drop-last", "warning"),
        (("--dataset-size", "1000", "--batch-size", "32", "--drop-last"), "drop-last", "ok"),
        (("--dataset-size", "300", "--weight-decay", "0", "--dropout", "0"), "regularise", "warning"),
        (("--dataset-size", "300", "--dropout", "0.1"), "regularise", "ok"),
        (("--batch-size", "240", "--lr", "3.75e-3", "--base-batch-size", "32", "--base-lr", "5e-4"), "lr-scaled", "ok"),
        (
            ("--batch-size", "240", "--lr", "1e-4", "--base-batch-size", "32", "--base-lr", "5e-4"),
            "lr-scaled",
            "warning",
        ),
        (("--lr", "0.1"), "dataset-lr", "unknown"),
    ],
)
def test_options_reach_their_check(options: tuple[str, ...], name: str, outcome: str) -> None:
    assert outcomes(*options)[name] == outcome


def test_every_check_is_reported_with_its_source() -> None:
    report = as_json("--batch-size", "32")["checks"]
    assert [(one["id"], one["source"]) for one in report] == [(name, source) for name, _, source, _ in RULES]
    assert {"title", "outcome", "found", "change"} <= report[0].keys()


def test_options_overrule_the_config() -> None:
    config = str(EXAMPLES / "digits.toml")
    assert as_json(config)["setup"]["batch_size"] == 32
    assert as_json(config, "--batch-size", "8")["setup"]["batch_size"] == 8
    assert outcomes(config, "--batch-size", "8")["batchnorm"] == "problem"
    assert as_json(config, "--set", "batch.size=16")["setup"]["batch_size"] == 16


def test_what_a_config_says_is_known() -> None:
    setup = as_json(str(EXAMPLES / "long-tail.toml"))["setup"]
    wanted = {
        "weighted_sampler": True,
        "has_batchnorm": False,
        "weight_decay": 0.01,  # AdamW's own
        "dropout": 0.0,
        "eval_mode": True,
        "micro_batch_size": None,
        "optimizer": "AdamW",
    }
    assert {name: setup[name] for name in wanted} == wanted


def test_own_data_are_unknown_until_built() -> None:
    config = str(EXAMPLES / "own_code.toml")
    assert "--build" in run(config).output
    assert as_json(config)["setup"]["dataset_size"] is None
    known = as_json(config, "--build")["setup"]
    assert (known["dataset_size"], known["has_batchnorm"]) == (1600, False)


def test_an_npz_file_is_measured_by_its_header(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "data.npz", x=numpy.zeros((50, 1, 4, 4)), y=numpy.zeros(50, int))
    config = tmp_path / "run.toml"
    config.write_text('[data]\ntask = "npz"\npath = "data.npz"\nvalidation = 0.1\n[model]\nname = "mlp"\n')
    assert as_json(str(config))["setup"]["dataset_size"] == 45
    assert as_json(str(config))["setup"]["domain"] == "images"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to check: give a config, or numbers"),
        (("--build",), "--set and --build go with a config"),
        (("--memory", "8 gigs"), '"8 gigs" is no size'),
        (("missing.toml",), "missing.toml"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, BadInput)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--lr", "nan"),
        ("--lr", "0"),
        ("--lr", "inf"),
        ("--lr", "x"),
        ("--batch-size", "0"),
        ("--sizes", "0,1"),
        ("--sizes", "a"),
        ("--domain", "sound"),
    ],
)
def test_usage_errors_name_the_option(arguments: tuple[str, str]) -> None:
    result = CliRunner().invoke(bsmon, ["check", *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--dataset-size", "480", "--batch-size", "240")
    assert "\x1b[" not in run(*arguments).output
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mPROBLEM" in run(*arguments, color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(*arguments, color=True).output


def test_names_from_outside_reach_the_terminal_clean(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b]0;x\x07.toml"
    path.write_text((EXAMPLES / "digits.toml").read_text())
    result = run(str(path), color=True)
    assert result.exception is None
    assert "\x1b]" not in result.output
    assert "\x07" not in result.output


def test_lines_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run(str(EXAMPLES / "digits.toml"))
    assert max(map(len, result.output.splitlines()[1:])) <= 80


def test_no_torch_without_build() -> None:
    program = (
        "import sys; sys.argv = ['bsmon', 'check', sys.argv[1]]\n"
        "from bsmon.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    config = EXAMPLES / "text.toml"
    result = subprocess.run([sys.executable, "-c", program, config], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def rows(setup: Setup, sizes: tuple[int, ...] = ()) -> tuple[SizeRow, ...]:
    return size_table(setup, sizes).rows


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_table_holds_the_present_size_once_and_never_more_than_the_data(samples: int, batch: int) -> None:
    table = rows(Setup(dataset_size=samples, batch_size=batch))
    assert [row.batch_size for row in table if row.is_present] == ([batch] if batch <= samples else [])
    assert all(row.batch_size <= samples for row in table)
    assert [row.batch_size for row in table] == sorted({row.batch_size for row in table})


def test_a_learning_rate_that_needs_a_running_training_is_not_known() -> None:
    setup = Setup(dataset_size=480, batch_size=32, learning_rate=1e-3, learning_rate_rule=LearningRateRule.GAIN)
    row = rows(setup, (64,))[0]
    assert (row.learning_rate, row.linear_learning_rate) == (None, 2e-3)
    assert rows(Setup()) == ()


def test_a_message_about_a_bad_name_reaches_the_terminal_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\x1b[2J.toml"
    path.write_text((EXAMPLES / "digits.toml").read_text())
    monkeypatch.setattr(sys, "argv", ["bsmon", "lr-find", str(path), "--batch-size", "5000"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    written = capsys.readouterr().err
    assert "a batch of 5,000 is more than the 1,438 training samples" in written
    assert "\x1b" not in written
