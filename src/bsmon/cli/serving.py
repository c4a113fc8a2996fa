"""Starts a training together with the socket that other terminals attach to."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Self

from bsmon.core.records import Level
from bsmon.core.snapshot import RunState
from bsmon.core.text import clean
from bsmon.session.live import LiveSession
from bsmon.store.run_dir import RunDir
from bsmon.wire.address import socket_path
from bsmon.wire.server import RunServer


class Serving:
    """A context manager: at its end the viewers have seen the last state, and the socket is gone."""

    def __init__(self, session: LiveSession, run: RunDir) -> None:
        self._session = session
        self._run = run
        self._server: RunServer | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet: the first frame comes before all else."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell the viewers how it ended."""
        if self._server is not None:
            self._server.stop()
            with contextlib.suppress(OSError):  # a full disk: readers find a socket on which nobody answers
                self._run.update(socket=None)

    def start(self) -> None:
        """Start the training and listen. Without a socket the run is still seen through its files."""
        self._session.start()
        try:
            path = socket_path(self._run.path, os.environ)
            server = RunServer(self._session, path)
            server.start()
            self._server = server
            self._run.update(socket=str(path), status=RunState.TRAINING.value)
        except OSError as reason:
            text = f"No socket for this run ({clean(str(reason))}); bsmon attach can look on but change nothing."
            self._session.note(text, Level.WARNING)
