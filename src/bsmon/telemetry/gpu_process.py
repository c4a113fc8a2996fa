"""The parent's end of the GPU reader's process: start, ask, receive with a deadline, kill without waiting."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

from bsmon.telemetry.gpu_protocol import Request, encode

_MOST_BYTES = 1 << 20
_CHUNK = 1 << 16
_REAP_S = 0.2


class ReaderGone(Exception):
    """The process ended or talks nonsense; the message says how."""


class GpuReaderProcess:
    """One running reader. No method waits longer than it is told to."""

    def __init__(self) -> None:
        """Start the process. Raises OSError where the system cannot."""
        # -P keeps the current directory out of sys.path: a signal.py of the person's own must not be imported here.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bsmon.telemetry.gpu_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            bufsize=0,
            start_new_session=True,  # Ctrl+C and a closed terminal are the parent's business
        )
        self._buffer = b""
        self.pid = self._process.pid

    def ask(self, request: Request) -> None:
        """Send a request; a line fits the pipe, so this does not block. Raises ReaderGone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode(request))
        except OSError as error:
            raise ReaderGone(self._ending()) from error

    def receive(self, timeout_s: float) -> bytes | None:
        """The next line, or None when it has not come in time. Raises ReaderGone."""
        assert self._process.stdout is not None
        poll = select.poll()  # not select.select, which fails on descriptors above 1023
        poll.register(self._process.stdout, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poll.poll(max(timeout_s, 0) * 1000):
                return None
            chunk = os.read(self._process.stdout.fileno(), _CHUNK)
            if not chunk:
                raise ReaderGone(self._ending())
            self._buffer += chunk
            timeout_s = 0.0
            if len(self._buffer) > _MOST_BYTES:
                raise ReaderGone("the GPU reader sent nonsense")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """End it, without waiting: a process stuck in the driver dies only when the driver lets go."""
        with contextlib.suppress(OSError):
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def is_dead(self) -> bool:
        """Whether the system has let go of it; never waits."""
        return self._process.poll() is not None

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        status = self._process.returncode
        if status is not None and status < 0:
            return f"the GPU driver's library crashed ({signal.strsignal(-status)})"
        return f"the GPU reader ended with status {status}"
