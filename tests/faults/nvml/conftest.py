"""The stub library, compiled once, and the file that steers it. Only child processes ever load it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bsmon.telemetry.gpu_client import Deadlines, GpuClient
from tests.faults.nvml.stub import Control, build, compiler


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stub with the newest struct versions."""
    return _build(tmp_path_factory, old_driver=False)


@pytest.fixture(scope="session")
def old_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stub that lacks what came with later struct versions."""
    return _build(tmp_path_factory, old_driver=True)


def _build(factory: pytest.TempPathFactory, *, old_driver: bool) -> Path:
    if compiler() is None:
        pytest.skip("no C compiler (cc, gcc or clang) to build the stub of NVIDIA's library")
    return build(factory.mktemp("nvml"), old_driver=old_driver)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """Steers the stub."""
    return Control(tmp_path / "control")


@pytest.fixture
def on_stub(stub: Path, control: Control, monkeypatch: pytest.MonkeyPatch) -> Control:
    """Child processes started from now on load the stub; this process has read its own library path long ago."""
    use(stub, control, monkeypatch)
    return control


def use(library: Path, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point child processes at a library."""
    for name, value in control.environment(library).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client() -> Iterator[GpuClient]:
    """A client with short deadlines and pauses."""
    client = GpuClient(Deadlines(answer=0.5, first_answer=20, first_pause=0.01, longest_pause=0.05))
    yield client
    client.close()
