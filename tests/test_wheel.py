"""What a user installs: a wheel that carries everything it needs, found from where it was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

import pytest

import bsmon

ROOT = Path(__file__).resolve().parents[1]

SELF_TEST = """
import json, sys
from importlib.resources import files
from pathlib import Path
import bsmon
from bsmon.config.load import load
from bsmon.ui.themes import load_theme, theme_names
examples = Path(str(files("bsmon") / "examples"))
print(json.dumps({
    "package": bsmon.__file__,
    "themes": [load_theme(name).name for name in theme_names()],
    "examples": sorted(Path(load(path).path).name for path in examples.glob("*.toml")),
}))
"""


def run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; return what it printed."""
    result = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(kind: str, source: Path, target: Path) -> Path:
    """Build an sdist or a wheel without a network and return its path."""
    run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target], cwd=source)
    (made,) = target.iterdir()
    return made


def files_below(*folders: str) -> set[str]:
    """Return the files of the checkout that the wheel must carry, named as the wheel names them."""
    found = set()
    for folder in folders:
        inside = ROOT / folder
        prefix = Path("bsmon") if folder == "src/bsmon" else Path("bsmon", folder)
        for path in inside.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(str(prefix / path.relative_to(inside)))
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index"]
    run([sys.executable, "-m", "pip", "install", *options, "--target", target, wheel], cwd=target)
    return target


def test_the_wheel_carries_code_data_themes_and_examples(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    carried = {name for name in names if ".dist-info/" not in name}
    assert carried == files_below("src/bsmon", "themes", "examples")
    assert "bsmon/py.typed" in carried


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    fields = Parser().parsestr(archive.read(metadata).decode())
    assert fields["Version"] == bsmon.__version__
    assert fields["Requires-Python"] == ">=3.11"
    assert fields["License-Expression"] == "MIT"
    assert "torch>=2.10" in fields.get_all("Requires-Dist", [])


def test_the_source_package_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("bsmon-*")
    again = build("wheel", source, tmp_path / "wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_installed_it_finds_its_themes_and_examples(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run([sys.executable, "-c", SELF_TEST], cwd=tmp_path, PYTHONPATH=str(installed)))
    assert Path(found["package"]).is_relative_to(installed)
    assert sorted(found["themes"]) == sorted(path.stem for path in (ROOT / "themes").glob("*.toml"))
    assert found["examples"] == sorted(path.name for path in (ROOT / "examples").glob("*.toml"))


@pytest.mark.parametrize("command", [["bin/bsmon"], [sys.executable, "-m", "bsmon"]])
def test_it_starts_both_ways(installed: Path, tmp_path: Path, command: list[str]) -> None:
    program = [str(installed / part) if part.startswith("bin/") else part for part in command]
    assert bsmon.__version__ in run([*program, "--version"], cwd=tmp_path, PYTHONPATH=str(installed))


def test_installed_it_trains_on_what_it_carries(installed: Path, tmp_path: Path) -> None:
    example = installed / "bsmon" / "examples" / "digits-mlp.toml"
    options = ["--json", "--set", "run.epochs=1", "--set", "schedule.warmup_epochs=0"]
    program = [sys.executable, "-m", "bsmon", "train", str(example), *options]
    lines = run(program, cwd=tmp_path, PYTHONPATH=str(installed), OMP_NUM_THREADS="1").splitlines()
    summary = json.loads(lines[-1])
    assert summary["type"] == "summary"
    assert summary["state"] == "finished"
    assert summary["loss"] is not None
