"""Targets: found beside the config or installed, every fault by name, nothing run before it must be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bsmon.config.schema import Config, DigitsData, MlpModel, TargetSection
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.targets import call_target, locate, resolve


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """Each test imports modules of the same names from another folder."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) is None or "pytest-of-" in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def config_path(tmp_path: Path) -> str:
    return str(tmp_path / "run.toml")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_beside_the_config(tmp_path: Path, config_path: str) -> None:
    file = write(tmp_path, "mine.py", "def make(): return 7")
    function, found = resolve("mine:make", config_path)
    assert function() == 7
    assert found == str(file)


def test_in_a_package_beside_the_config_with_or_without_init(tmp_path: Path, config_path: str) -> None:
    write(tmp_path, "pack/__init__.py", "")
    inner = write(tmp_path, "pack/deep/mine.py", "class Maker:\n    @staticmethod\n    def make(): return 8")
    function, found = resolve("pack.deep.mine:Maker.make", config_path)
    assert function() == 8
    assert found == str(inner)


def test_installed(config_path: str) -> None:
    function, found = resolve("torch.nn:CrossEntropyLoss", config_path, "loss")
    assert function is torch.nn.CrossEntropyLoss
    assert found == torch.nn.__file__


def test_a_plain_folder_beside_the_config_hides_no_installed_package(tmp_path: Path, config_path: str) -> None:
    (tmp_path / "torch").mkdir()
    assert resolve("torch.nn:Linear", config_path, "model")[0] is torch.nn.Linear


def test_siblings_can_be_imported_at_once_and_later(tmp_path: Path, config_path: str) -> None:
    write(tmp_path, "early_helper.py", "VALUE = 1")
    write(tmp_path, "late_helper.py", "VALUE = 2")
    code = "import early_helper\ndef make():\n    import late_helper\n    return early_helper.VALUE + late_helper.VALUE"
    write(tmp_path, "mine.py", code)
    before = list(sys.path)
    function, _ = resolve("mine:make", config_path)
    assert function() == 3
    assert sys.path == [*before, str(tmp_path)]  # in the last place, where it hides nothing


def test_locating_runs_nothing(tmp_path: Path, config_path: str) -> None:
    file = write(tmp_path, "bomb.py", "raise SystemExit(3)")
    before = list(sys.path)
    assert locate("bomb:make", config_path) == str(file)
    assert "bomb" not in sys.modules
    assert sys.path == before


CASES = {
    "unknown module": (
        "mime:make",
        {"mine.py": ""},
        r'no module "mime" is beside the config file or installed; did you mean "mine"\?',
    ),
    "unknown part": (
        "pack.mime:f",
        {"pack/__init__.py": "", "pack/mine.py": ""},
        r'no module "pack.mime" .* did you mean "pack.mine"\?',
    ),
    "part of a module": ("mine.part:f", {"mine.py": ""}, r'no module "mine.part" is beside'),
    "attribute": (
        "mine:maek",
        {"mine.py": "def make(): ..."},
        r'"mine" \(.*mine.py\) has no "maek"; did you mean "make"\?',
    ),
    "inner attribute": (
        "mine:A.maek",
        {"mine.py": "class A:\n    make = 1"},
        r'"mine.A" \(.*\) has no "maek"; did you mean "make"\?',
    ),
    "not callable": ("mine:n", {"mine.py": "n = 3"}, r'"mine:n" is an int, and must be callable'),
    "name in use": (
        "random:make",
        {"random.py": ""},
        r'"random" beside the config file has the name of a module in use',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_not_found(tmp_path: Path, config_path: str, case: str) -> None:
    target, files, message = CASES[case]
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.raises(BadInput, match=message) as raised:
        resolve(target, config_path, "model")
    assert str(raised.value).startswith(f"{config_path}: model.target: ")


BROKEN = {
    "raises": ("import sys\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero", "line 3, in <module>", "x = 1 / 0"),
    "syntax": ("def make(:\n    pass\n", "SyntaxError: invalid syntax", "line 1", "def make(:"),
    "missing import": ("import nowhere_at_all\n", "ModuleNotFoundError: No module named", "line 1", "import nowhere"),
    "exits": ("raise SystemExit('bye')\n", "SystemExit: bye", "line 1", "raise SystemExit"),
    "raises without a text": ("raise ValueError\n", "failed: ValueError\n", "line 1", "raise ValueError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_module_that_does_not_import(tmp_path: Path, config_path: str, case: str) -> None:
    code, *expected = BROKEN[case]
    file = write(tmp_path, "broken.py", code)
    before = list(sys.path)
    with pytest.raises(BadInput) as raised:
        resolve("broken:make", config_path)
    message = str(raised.value)
    assert message.startswith(f'{config_path}: data.target: importing "broken" ({file}) failed: ')
    for part in expected:
        assert part in message
    assert "importlib" not in message  # the person's own code only
    assert "targets.py" not in message
    assert sys.path == [*before, str(tmp_path)]


def test_the_traceback_goes_down_into_the_modules_that_were_imported(tmp_path: Path, config_path: str) -> None:
    write(tmp_path, "inner.py", "def go():\n    return {}['key']\n")
    write(tmp_path, "outer.py", "import inner\ninner.go()\n")
    with pytest.raises(BadInput, match=r"(?s)KeyError: 'key'.*outer.py.*inner.py.*line 2, in go"):
        resolve("outer:make", config_path)


def call(tmp_path: Path, code: str, section: str = "model", **arguments: object) -> Any:
    write(tmp_path, "mine.py", code)
    target = TargetSection(target="mine:f", arguments=arguments)
    config = Config(data=DigitsData(), model=MlpModel(), path=str(tmp_path / "run.toml"))
    return call_target(config, target, section)[0]


def test_arguments_are_the_sections_other_keys(tmp_path: Path) -> None:
    assert call(tmp_path, "def f(a, *, b=2, **rest): return a, b, rest", a=1, c=3) == (1, 2, {"c": 3})


@pytest.mark.parametrize(
    ("code", "section", "arguments", "message"),
    [
        (
            "def f(hidden=3): ...",
            "model",
            {"hiden": 4},
            r'model.hiden: "mine:f" takes no such argument; did you mean "hidden"',
        ),
        ("def f(): ...", "model", {"x": 4}, r'model.x: "mine:f" takes no such argument; it takes none'),
        ("def f(a, /): ...", "model", {"a": 4}, r'model.a: "mine:f" takes no such argument; it takes none'),
        ("def f(a, b): ...", "model", {"b": 4}, r'model.target: "mine:f" needs "a": add to \[model\]'),
        ("class f:\n    def __init__(self, width): ...", "model", {}, r'"mine:f" needs "width": add to \[model\]'),
        (
            "def f(output, target): ...",
            "loss",
            {},
            r'needs "output", "target": .* it must return the loss function, not be it',
        ),
    ],
)
def test_arguments_that_do_not_fit(
    tmp_path: Path, code: str, section: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        call(tmp_path, code, section, **arguments)


def test_what_the_call_itself_raises_passes_through(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unsupported operand") as raised:
        call(tmp_path, "def f(n):\n    return n + None", n=1)
    assert raised.traceback[-1].path == tmp_path / "mine.py"
