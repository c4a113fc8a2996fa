"""Who may know whom, checked twice: in the import graph, and in what a fresh interpreter has really loaded.

The graph shows every import there is, also one that a function makes late; the interpreter shows that a late import
is late. Each check has a control: something planted or known that it must find.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SCREEN = {"textual", "rich"}
HARDWARE = {"torch", "psutil", "pynvml"}
FORBIDDEN = {
    "core": SCREEN | HARDWARE | {"msgspec", "click", "numpy"},
    "config": SCREEN | HARDWARE | {"click", "numpy"},
    "advisor": SCREEN | HARDWARE,
    "store": SCREEN | HARDWARE,
    "wire": SCREEN | HARDWARE | {"click", "numpy"},
    "headless": SCREEN | HARDWARE | {"numpy"},
    "report": SCREEN | HARDWARE | {"numpy"},
    "ui": HARDWARE | {"numpy"},
    "engine": SCREEN,
    "telemetry": SCREEN,
    "session": SCREEN,
    "trials": SCREEN,
}

LOAD_PACKAGE = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(json.dumps(sorted(sys.modules)))
"""

RUN_COMMAND = """
import json, sys
from bsmon.cli import main
try:
    main()
except SystemExit as ended:
    status = ended.code
print()
print(json.dumps([str(status), *sorted(sys.modules)]))
"""


def last_line(source: str, *arguments: str, path: Path = ROOT / "src") -> list[str]:
    """Run `source` in a fresh interpreter that finds bsmon in `path`; return the JSON list it prints last."""
    result = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env=os.environ | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    names = json.loads(result.stdout.splitlines()[-1])
    assert isinstance(names, list)
    return names


@cache
def loaded_by(package: str, path: Path = ROOT / "src") -> frozenset[str]:
    """Return the names of all modules after importing every module of a package."""
    return frozenset(last_line(LOAD_PACKAGE, package, path=path))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the import graph of the sources in `folder`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the sources, to be spoilt."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def plant(folder: Path, module: str, statement: str) -> None:
    """Add a statement to a module of the copy."""
    with (folder / "src" / "bsmon" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{statement}\n")


def test_the_import_graph_keeps_the_layers() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        pytest.param("core/text.py", "import torch", "bsmon.core.text -> torch", id="core-library"),
        pytest.param("core/text.py", "import bsmon.config", "bsmon.core.text -> bsmon.config", id="upwards"),
        pytest.param("ui/numbers.py", "import bsmon.headless", "bsmon.ui.numbers -> bsmon.headless", id="sibling"),
        pytest.param(
            "ui/numbers.py",
            "def late() -> None:\n    from bsmon.engine import trainer",
            "bsmon.ui.numbers -> bsmon.engine.trainer",
            id="late-and-indirect",
        ),
    ],
)
def test_control_the_graph_check_finds_a_planted_import(copy: Path, module: str, statement: str, broken: str) -> None:
    plant(copy, module, statement)
    result = lint_imports(copy)
    assert result.returncode != 0
    assert broken in result.stdout


def test_every_package_has_a_fence() -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "bsmon").glob("*/__init__.py")}
    assert packages - {"cli"} == FORBIDDEN.keys()


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_loads_nothing_that_it_must_not(package: str) -> None:
    assert loaded_by(f"bsmon.{package}") & FORBIDDEN[package] == set()


@pytest.mark.parametrize(
    ("package", "needs"), [("engine", {"torch"}), ("ui", {"textual"}), ("telemetry", {"psutil", "pynvml"})]
)
def test_control_what_a_package_does_use_is_seen(package: str, needs: set[str]) -> None:
    assert needs <= loaded_by(f"bsmon.{package}")


def test_control_a_planted_import_is_seen_in_the_interpreter(copy: Path) -> None:
    plant(copy, "core/text.py", "import psutil")
    assert "psutil" in loaded_by("bsmon.core", copy / "src")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        *((name, "--help") for name in ("train", "attach", "init", "doctor", "check", "lr-find", "sweep")),
    ],
)
def test_help_loads_no_framework(arguments: tuple[str, ...]) -> None:
    status, *modules = last_line(RUN_COMMAND, *arguments)
    assert status == "0"
    assert set(modules) & (SCREEN | HARDWARE | {"numpy"}) == set()


def test_a_config_that_cannot_be_used_is_refused_without_torch(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[run\n")
    status, *modules = last_line(RUN_COMMAND, "train", str(broken))
    assert status == "2"
    assert "torch" not in modules
