"""A front end without a terminal, for pipes, CI and nohup: plain lines, or JSON lines, and a summary at the end."""

from bsmon.headless.loop import run

__all__ = ["run"]
