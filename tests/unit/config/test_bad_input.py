"""Each thing that can be wrong with a config, and what the person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsmon.config.load import load, parse
from bsmon.core.errors import BadInput

GOOD = '[data]\ntask = "digits"\n[model]\nname = "cnn"\n'
TEXT = '[data]\ntask = "text"\n[model]\nname = "char-transformer"\n'


def message(text: str, *overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse(text, Path("run.toml"), overrides)
    return str(caught.value)


FIELDS = [
    # section, line, how the message begins after the file's name
    ("batch", "siez = 64", 'batch.siez = 64: there is no such key in [batch]; did you mean "size"?'),
    ("batch", "batch_size = 64", "batch.batch_size = 64: there is no such key in [batch]; did you mean batch.size?"),
    ("train", "epochs = 3", "train.epochs = 3: there is no such key in [train]; did you mean run.epochs?"),
    ("ui", "qqq = 1", "ui.qqq = 1: there is no such key in [ui]; choose from theme, frames_per_second"),
    (
        "batch",
        'size = "32"',
        'batch.size = "32": expected a whole number of at least 1, got text; leave out the quotes.',
    ),
    ("batch", "size = 0", "batch.size = 0: expected a whole number of at least 1. Samples per weight update"),
    ("batch", "size = 2.0", "batch.size = 2.0: expected a whole number of at least 1, got a decimal number."),
    ("batch", "size = true", "batch.size = true: expected a whole number of at least 1, got a boolean."),
    ("batch", "size = [32]", "batch.size = [32]: expected a whole number of at least 1, got a list."),
    ("batch", "size = {}", "batch.size = {}: expected a whole number of at least 1, got a table."),
    ("batch", "size = 2024-05-01", "batch.size = 2024-05-01: expected a whole number of at least 1, got a date."),
    ("batch", 'micro_batch_size = "atuo"', 'batch.micro_batch_size = "atuo": expected "auto" or a whole number of at'),
    ("run", "compile = 1", "run.compile = 1: expected true or false, got a whole number."),
    ("run", 'compile = "true"', 'run.compile = "true": expected true or false, got text; leave out the quotes.'),
    ("run", "name = 7", "run.name = 7: expected text, got a whole number."),
    ("run", 'device = "gpu"', 'run.device = "gpu": expected "auto", "cpu", "cuda", "cuda:0" (or another number)'),
    (
        "run",
        'precision = "fp61"',
        'run.precision = "fp61": expected one of "bf16", "fp16", "fp32"; did you mean "fp16"?',
    ),
    ("run", "seed = -1", "run.seed = -1: expected a whole number from 0 to 4294967295."),
    ("run", 'name = "a/b"', 'run.name = "a/b": the run\'s folder is named for it: use printable characters'),
    ("optimizer", "lr = inf", "optimizer.lr = inf: expected a number above 0, and finite."),
    ("optimizer", "lr = nan", "optimizer.lr = nan: expected a number above 0, and finite."),
    ("optimizer", "lr = 0", "optimizer.lr = 0: expected a number above 0. Learning rate"),
    ("optimizer", "learning_rate = 0.1", "optimizer.learning_rate = 0.1: torch.optim calls it lr; did you mean"),
    (
        "train",
        'eval_every = "epochs"',
        'train.eval_every = "epochs": expected one of "epoch", "never" or a whole number',
    ),
    ("memory", 'budget = "6 gigs"', 'memory.budget = "6 gigs": expected a size like "6GiB" or "500 MB".'),
    ("memory", 'budget = "0MiB"', 'memory.budget = "0MiB": nothing can be trained in no memory'),
    ("telemetry", 'probe_weight = "fc1"', 'telemetry.probe_weight = "fc1": expected text like "fc1.weight[50,30]".'),
    ("telemetry", "budget = 0", "telemetry.budget = 0: expected a number above 0 and of at most 1."),
    ("checkpoint", "keep = 0", "checkpoint.keep = 0: expected a whole number of at least 1."),
    (
        "loss",
        'name = "mes"',
        'loss.name = "mes": expected one of "auto", "bce", "cross-entropy", "l1", "model", "mse"; did',
    ),
    ("loss", 'target = "my_loss"', 'loss.target = "my_loss": expected text like "package.module:callable".'),
    ("loss", 'target = "a:b"\nname = "mse"', 'loss.name = "mse": give name or target, not both'),
    ("loss", 'name = "l1"\nlabel_smoothing = 0.1', 'loss.label_smoothing = 0.1: this does nothing with name = "l1"'),
]


@pytest.mark.parametrize(("section", "line", "start"), FIELDS)
def test_a_wrong_field_is_explained(section: str, line: str, start: str) -> None:
    assert message(f"{GOOD}[{section}]\n{line}\n").startswith(f"run.toml: {start}")


RULES = [
    (GOOD, ["run.epochs=2", "run.max_steps=9"], "run.max_steps = 9: give epochs (here 2) or max_steps, not both"),
    (GOOD, ["run.device=cpu", "run.precision=fp16"], 'run.precision = "fp16": fp16 needs a GPU'),
    (GOOD, ["run.device=cuda:1", "run.world_size=2"], 'run.device = "cuda:1": with world_size = 2 every rank has'),
    (GOOD, ["run.device=mps", "run.world_size=2"], 'run.device = "mps": with world_size = 2 every rank has'),
    (GOOD, ["run.world_size=0"], "run.world_size = 0: expected a whole number from 1 to 64"),
    (GOOD, ["batch.size=8", "batch.min=16"], "batch.size = 8: this is below min = 16"),
    (GOOD, ["batch.size=64", "batch.max=16"], "batch.size = 64: this is above max = 16"),
    (GOOD, ["batch.max=4", "batch.min=16"], "batch.max = 4: this is below min = 16"),
    (GOOD, ["batch.micro_batch_size=64"], "batch.micro_batch_size = 64: this is above size = 32"),
    (
        GOOD,
        ["schedule.gamma=0.5"],
        'schedule.gamma = 0.5: this does nothing with name = "constant"; it belongs to step',
    ),
    (
        GOOD,
        ["schedule.final=0.5"],
        'schedule.final = 0.5: this does nothing with name = "constant"; it belongs to cosine',
    ),
    (GOOD, ["schedule.warmup_epochs=11"], "schedule.warmup_epochs = 11.0: the warm-up would not end: the run has 10"),
    (TEXT, ["model.width=65"], "model.width = 65: not a multiple of heads = 4; 68 is"),
]


@pytest.mark.parametrize(("text", "overrides", "start"), RULES)
def test_values_that_do_not_go_together_are_explained(text: str, overrides: list[str], start: str) -> None:
    assert start in message(text, *overrides)


SECTIONS = [
    ("", "run.toml: the section [data] is missing. What to train on"),
    ("epochs = 3\n" + GOOD, "run.toml: epochs = 3: this stands outside any section; did you mean run.epochs?"),
    ("zzz = 3\n" + GOOD, "run.toml: zzz = 3: this stands outside any section; every key belongs under a [section]"),
    (GOOD + "[optimiser]\n", 'run.toml: optimiser: there is no section [optimiser]; did you mean "optimizer"?'),
    (GOOD + "[[batch]]\n", "run.toml: batch = [{}]: expected a section [batch], got a list"),
    ("batch = 3\n" + GOOD, "run.toml: batch = 3: expected a section [batch], got a whole number"),
    ('[data]\ntask = "digit"\n', 'run.toml: data.task = "digit": there is no such task; did you mean "digits"?'),
    ("[data]\ntask = 3\n", 'run.toml: data.task = 3: there is no such task. Give task = one of "digits"'),
    ('[data]\npath = "x"\n', 'run.toml: data.task: this key is missing. Give task = one of "digits", "npz"'),
    ('[data]\ntask = "npz"\n', "run.toml: data.path: this key is missing. The file, relative to the config file."),
    ('[data]\ntask = "digits"\npath = "x"\n', 'run.toml: data.path = "x": only task = "npz" or "text" has this key'),
    ('[data]\ntask = "npz"\ntarget = "a:b"\n', 'run.toml: data.task = "npz": give task or target, not both'),
    ('[data]\ntarget = "a:b"\ndomain = "image"\n', 'run.toml: data.domain = "image": expected one of "images"'),
    (
        '[data]\ntask = "digits"\n[model]\nname = "resnet"\n',
        'run.toml: model.name = "resnet": there is no such name; choose from mlp, cnn, char-transformer',
    ),
    (
        '[data]\ntask = "digits"\n[model]\nname = "cnn"\nchannels = []\n',
        "run.toml: model.channels = []: expected a list (not empty) of whole numbers of at least 1.",
    ),
]


@pytest.mark.parametrize(("text", "start"), SECTIONS)
def test_a_wrong_section_is_explained(text: str, start: str) -> None:
    assert message(text).startswith(start)


def test_all_problems_are_told_at_once_one_line_each() -> None:
    lines = message(GOOD + '[batch]\nsiez = 1\nmin = 0\n[run]\ndevice = "tpu"\n[iu]\n', "train.shuffle=3").splitlines()
    assert len(lines) == 5
    assert all(line.startswith("run.toml") for line in lines)


def test_an_override_is_named_as_the_origin() -> None:
    assert message(GOOD, "batch.size=0").startswith("run.toml (command line): batch.size = 0: expected")
    assert message(GOOD, "modle.hidden=[1]").startswith("run.toml (command line): modle: there is no section [modle]")


OVERRIDES = [
    ("batch", "expected section.key=value, like batch.size=..."),
    ("epochs=3", "expected section.key=value; did you mean run.epochs=...?"),
    ("zzz", "expected section.key=value, like batch.size=64"),
    ("batch..size=3", "expected section.key=value"),
    (".size=3", "expected section.key=value"),
    ("data.task.x=3", "task is a value, so no key can be set in it"),
]


@pytest.mark.parametrize(("override", "end"), OVERRIDES)
def test_a_wrong_override_is_explained(override: str, end: str) -> None:
    assert message(GOOD, override).startswith(f"run.toml: --set {override}: {end}")


BROKEN = [
    ("[data]\nx == 3\n", "line 2, column 4", "  x == 3\n     ^"),
    ('[data]\r\nx = "a\r\n', "line 2, column 7", '  x = "a\n        ^'),
    ("[data\n", "line 1, column 6", "  [data\n       ^"),
    ("x = [3,\n4", "line 2, column 2", "  4\n   ^"),
    ("\tx = = 3", "line 1, column 6", "   x = = 3\n       ^"),
    ("x = 1\nx = 2\n", "line 2, column 6", "  x = 2\n       ^"),
]


@pytest.mark.parametrize(("text", "place", "shown"), BROKEN)
def test_broken_toml_is_shown_where_it_breaks(text: str, place: str, shown: str) -> None:
    told = message(text)
    assert told.startswith(f"run.toml: {place}: ")
    assert told.endswith(f"\n{shown}")


BEYOND = [
    ("nested lists", "a = " + "[" * 5000, "lists or tables are nested too deep"),
    ("nested tables", "a" + ".a" * 2000 + " = 1", "lists or tables are nested too deep (more than 50 levels)"),
    ("many digits", "a = " + "9" * 5000, "a whole number is too large; it must fit 64 bits"),
    ("many hexadecimal digits", "a = 0x" + "f" * 5000, "a whole number is too large; it must fit 64 bits"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in BEYOND], ids=[row[0] for row in BEYOND])
def test_what_is_beyond_toml_s_limits_is_refused(text: str, expected: str) -> None:
    assert message(text) == f"run.toml: {expected}"


def test_only_the_part_around_a_break_in_a_long_line_is_shown() -> None:
    shown = message(f"x = [{'1, ' * 500}? {'1, ' * 500}]").splitlines()
    assert shown[1][len(shown[2]) - 1] == "?"
    assert len(shown[1]) < 110


def test_text_from_the_file_never_reaches_the_terminal_raw() -> None:
    told = message(
        GOOD + '"\\u001b]0;x" = 1\n[run]\nname = "\\u001b[2J"\n[batch]\n"a\\u202eb" = 1\n', "run.x\x1b=1", "\x1b"
    )
    assert all(line.isprintable() for line in told.splitlines())
    assert all(line.isprintable() for line in message("x = \x1b[2J").splitlines())


class TestFiles:
    def test_a_missing_file_names_the_nearest_and_init(self, tmp_path: Path) -> None:
        (tmp_path / "digits.toml").write_text(GOOD)
        with pytest.raises(BadInput, match=r"no such file; did you mean .*/digits\.toml\? `bsmon init digit\.toml`"):
            load(tmp_path / "digit.toml")

    def test_a_name_without_its_ending_finds_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "mlp.toml").write_text(GOOD)
        with pytest.raises(BadInput, match=r"did you mean .*/mlp\.toml\?"):
            load(tmp_path / "mlp")

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"there is no folder .*/nowhere"):
            load(tmp_path / "nowhere" / "digits.toml")

    def test_a_folder_is_no_config(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="is a folder"):
            load(tmp_path)

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "model.toml"
        file.write_bytes(b"[data]\n\xff\xfe")
        with pytest.raises(BadInput, match="line 2 is not UTF-8 text"):
            load(file)

    def test_a_file_far_too_large_is_not_read_whole(self) -> None:
        with pytest.raises(BadInput, match="larger than 1 MiB"):
            load(Path("/dev/zero"))

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BadInput, match="cannot be read: Not a directory"):
            load(tmp_path / "file" / "config.toml")

    def test_a_name_with_a_zero_byte(self) -> None:
        with pytest.raises(BadInput, match=r"cannot be read: .*null byte"):
            load(Path("a\0b.toml"))
