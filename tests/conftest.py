"""Settings that all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# A deadline would fail a property because the machine is busy. In CI the same cases are tried every time; elsewhere new
# ones are, so that the suite goes on looking.
settings.register_profile("anywhere", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "anywhere")
