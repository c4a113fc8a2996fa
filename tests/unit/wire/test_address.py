"""Where the socket may lie, and who may be at its other end."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsmon.wire.address import (
    LONGEST_PATH,
    NoAddress,
    connect,
    fitting,
    is_same_user,
    listen,
    private_folder,
    socket_path,
)

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")


def test_the_folder_is_made_private(tmp_path: Path) -> None:
    path = socket_path(tmp_path / "runs" / "a", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert path.parent == tmp_path / "bsmon"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_runs_have_sockets_of_their_own_and_always_the_same(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    names = [socket_path(Path(run), environment).name for run in ("/runs/a", "/runs/b", "/runs/x/../a")]
    assert names[0] == names[2] != names[1]


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "bsmon").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoAddress, match="links are not followed"):
        private_folder(tmp_path / "bsmon")


@pytest.mark.parametrize("mode", [0o770, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "bsmon").mkdir()
    (tmp_path / "bsmon").chmod(mode)
    with pytest.raises(NoAddress, match="others may enter"):
        private_folder(tmp_path / "bsmon")


def test_a_parent_where_others_may_rename_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(NoAddress, match="others may rename"):
        private_folder(tmp_path / "bsmon")
    tmp_path.chmod(0o1777)  # as /tmp is
    private_folder(tmp_path / "bsmon")


@only_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bsmon").mkdir(mode=0o700)
    os.chown(tmp_path / "bsmon", NOBODY, NOBODY)
    with pytest.raises(NoAddress, match="another user"):
        private_folder(tmp_path / "bsmon")


def test_a_refused_folder_gives_way_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "bsmon").symlink_to("/")
    assert socket_path(tmp_path, {"XDG_RUNTIME_DIR": str(tmp_path)}).parent == Path(f"/tmp/bsmon-{os.geteuid()}")


@pytest.mark.parametrize("runtime", ["", "relative", "/nowhere/at/all"])
def test_a_useless_runtime_folder_gives_way_too(tmp_path: Path, runtime: str) -> None:
    assert socket_path(tmp_path, {"XDG_RUNTIME_DIR": runtime}).parent == Path(f"/tmp/bsmon-{os.geteuid()}")


def test_a_path_is_too_long_by_its_bytes() -> None:
    assert fitting(Path("/" + "x" * (LONGEST_PATH - 1)))
    with pytest.raises(NoAddress, match=f"{LONGEST_PATH + 1} bytes"):
        fitting(Path("/" + "x" * LONGEST_PATH))
    with pytest.raises(NoAddress):
        fitting(Path("/" + "é" * 60))


def test_a_socket_of_a_dead_process_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run.sock"
    listen(path).close()  # the file stays, as after kill -9
    with listen(path), pytest.raises(NoAddress, match="another process serves"):
        listen(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "run.sock", tmp_path / "precious"
    precious.write_text("kept")
    path.symlink_to(precious) if kind == "link" else path.write_text("kept")
    with pytest.raises(NoAddress, match="no socket"):
        listen(path)
    assert path.read_text() == "kept"


def test_the_same_user_is_known_by_the_kernel(tmp_path: Path) -> None:
    with listen(tmp_path / "run.sock") as server, connect(tmp_path / "run.sock") as client:
        accepted, _ = server.accept()
        with accepted:
            assert is_same_user(accepted)
            assert is_same_user(client)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
    print("connected", client.recv(1))
except OSError as error:
    print(type(error).__name__)
"""


@only_root
def test_another_user_cannot_reach_the_socket(reachable: Path) -> None:
    private_folder(reachable / "bsmon")
    with listen(reachable / "bsmon" / "run.sock"):
        assert as_nobody(reachable / "bsmon" / "run.sock").communicate()[0] == "PermissionError\n"


@only_root
def test_another_user_who_does_reach_it_is_told_apart(reachable: Path) -> None:
    with listen(reachable / "run.sock") as server:
        (reachable / "run.sock").chmod(0o666)
        server.setblocking(True)
        stranger = as_nobody(reachable / "run.sock")
        accepted, _ = server.accept()
        assert not is_same_user(accepted)
        accepted.close()
        stranger.communicate()


def as_nobody(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", "-c", AS_NOBODY, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@only_root
def test_a_server_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "run.sock"))
        server.listen()
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
        with pytest.raises(NoAddress, match="another user"):
            connect(tmp_path / "run.sock")
