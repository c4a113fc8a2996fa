"""The run's end of the wire: one thread that serves any number of viewers and never makes the training wait."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from pathlib import Path

import msgspec

from bsmon.core.ports import Session
from bsmon.wire.address import is_same_user, listen
from bsmon.wire.changes import encode_changes
from bsmon.wire.frames import frame
from bsmon.wire.protocol import State, encode
from bsmon.wire.viewer import Dropped, Viewer

PACE_S = 0.5
"""Time between two states of a viewer."""

SOON_S = 0.05
"""The same right after a command, and before a viewer's first state."""

MOST_VIEWERS = 64
_FAREWELL_S = 0.5


class RunServer:
    """Serves `session` on a Unix socket. Asleep while nobody looks on.

    All viewers are answered at the same moments: those that are as far as each other get the same bytes, made once.
    """

    def __init__(self, session: Session, path: Path) -> None:
        self._session = session
        self._path = path
        self._selector = selectors.DefaultSelector()
        self._viewers: list[Viewer] = []
        self._answered_at = 0.0
        self._is_urgent = False
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="bsmon-socket", daemon=True)

    def start(self) -> None:
        """Listen. Raises OSError (`address.NoAddress` when another process serves this run)."""
        self._server = listen(self._path)
        self._inode = self._path.stat().st_ino
        self._selector.register(self._server, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread.start()

    def stop(self) -> None:
        """Tell the viewers the last state, hang up and remove the socket. Takes half a second at most."""
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        while self._serve(self._selector.select(self._patience())):
            now = time.monotonic()
            if self._due() <= now:
                self._answer_waiting(now)
                self._drop_silent(now)
        self._farewell()

    def _patience(self) -> float | None:
        """How long to sleep: until the next answer, for ever while nobody waits for one."""
        if not any(viewer.is_waiting or viewer.is_behind for viewer in self._viewers):
            return None
        return max(0.0, self._due() - time.monotonic())

    def _due(self) -> float:
        is_soon = self._is_urgent or any(viewer.is_new for viewer in self._viewers)
        return self._answered_at + (SOON_S if is_soon else PACE_S)

    def _serve(self, ready: list[tuple[selectors.SelectorKey, int]]) -> bool:
        """Take in what came; False when the run has no more to say."""
        for key, events in ready:
            if key.fileobj is self._woken:
                return False
            if isinstance(key.data, Viewer):
                self._attend(key.data, events)
            else:
                self._accept()
        return True

    def _accept(self) -> None:
        """Take in all who knock, up to a number that leaves time for the others."""
        with contextlib.suppress(OSError):  # none is left, or no descriptor is free: they may try again
            for _ in range(MOST_VIEWERS):
                self._admit(self._server.accept()[0])

    def _admit(self, connection: socket.socket) -> None:
        viewer = Viewer(connection, self._session.submit)
        if not is_same_user(connection):
            viewer.close("only the user who trains may look on")
        elif len(self._viewers) >= MOST_VIEWERS:
            viewer.close(f"{MOST_VIEWERS} viewers look on already")
        else:
            self._viewers.append(viewer)
            self._selector.register(connection, selectors.EVENT_READ, viewer)

    def _attend(self, viewer: Viewer, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                viewer.flush()
            if events & selectors.EVENT_READ and viewer.read():
                self._is_urgent = True
        except Dropped as reason:
            self._drop(viewer, str(reason))
            return
        self._watch(viewer)

    def _watch(self, viewer: Viewer) -> None:
        """Wake for writing only while something waits to be written."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if viewer.is_behind else 0)
        if self._selector.get_key(viewer.socket).events != wanted:
            self._selector.modify(viewer.socket, wanted, viewer)

    def _answer_waiting(self, now: float) -> None:
        """Send the newest state to all who wait for one and have read the last."""
        self._answered_at, self._is_urgent = now, False
        ready = [viewer for viewer in self._viewers if viewer.is_waiting and not viewer.is_behind]
        if not ready:
            return
        snapshot = self._session.snapshot()
        made: dict[int | None, bytes] = {}
        for viewer in ready:
            base = viewer.shown
            if base is not None and base.version == snapshot.version:
                continue
            known = base.version if base is not None else None
            if known not in made:
                made[known] = frame(encode(State(msgspec.Raw(encode_changes(base, snapshot)))))
            viewer.shown, viewer.is_waiting = snapshot, False
            try:
                viewer.send(made[known])
                self._watch(viewer)
            except Dropped as reason:
                self._drop(viewer, str(reason))

    def _drop_silent(self, now: float) -> None:
        for viewer in [viewer for viewer in self._viewers if viewer.is_silent(now)]:
            self._drop(viewer, "what was sent is not read")

    def _drop(self, viewer: Viewer, reason: str) -> None:
        self._viewers.remove(viewer)
        self._selector.unregister(viewer.socket)
        viewer.close(reason)

    def _farewell(self) -> None:
        """The last state to everyone who reads."""
        self._selector.unregister(self._woken)
        deadline = time.monotonic() + _FAREWELL_S
        while (now := time.monotonic()) < deadline:
            self._answer_waiting(now)
            version = self._session.snapshot().version
            if all(viewer.has_read(version) for viewer in self._viewers):
                break
            self._serve(self._selector.select(SOON_S))
        for viewer in list(self._viewers):
            self._drop(viewer, "the run has ended")
        self._selector.close()
        self._server.close()
        self._remove()

    def _remove(self) -> None:
        """Only our own socket: another process may have taken its place."""
        with contextlib.suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
