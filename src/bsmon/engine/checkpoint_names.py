"""How checkpoint files are named, and the manifest that lists them with their hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"(?P<number>\d{6,12})-step-(?P<step>\d{1,18})-(?P<digest>[0-9a-f]{16})\.pt", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A checkpoint by its name; `digest` is the whole SHA-256 where the manifest has it, else its beginning."""

    number: int  # counts saves: after a fallback the newest save may have a lower step than an older, damaged one
    step: int
    name: str
    digest: str

    @classmethod
    def new(cls, number: int, step: int, digest: str) -> Entry:
        """Name a checkpoint; `digest`: the whole SHA-256 of its bytes, 64 hex digits."""
        return cls(number, step, f"{number:06d}-step-{step}-{digest[:16]}.pt", digest)


def entries(names: Iterable[str], listed: Mapping[str, str]) -> list[Entry]:
    """Checkpoints among `names` (a directory's files) and in the manifest, oldest first.

    Both, because a crash may have come between the rename and the manifest; names of other files are passed over.
    """
    found = []
    for name in {*names, *listed}:
        match = _NAME.fullmatch(name)
        if match is not None:
            found.append(Entry(int(match["number"]), int(match["step"]), name, listed.get(name, match["digest"])))
    return sorted(found)


def manifest_bytes(kept: Sequence[Entry]) -> bytes:
    """Write the manifest of the checkpoints that are kept."""
    rows = [{"file": entry.name, "step": entry.step, "sha256": entry.digest} for entry in kept]
    return (json.dumps({"format": 1, "checkpoints": rows}, indent=1) + "\n").encode()


def parse_manifest(data: bytes) -> dict[str, str]:
    """Read file name -> SHA-256 (its beginning where an earlier manifest was lost).

    Raises:
        ValueError: It is anything but a manifest.
    """
    try:
        rows = {row["file"]: row["sha256"] for row in json.loads(data)["checkpoints"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("not a manifest") from None
    for name, digest in rows.items():
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if (
            match is None
            or not isinstance(digest, str)
            or not re.fullmatch(match["digest"] + "([0-9a-f]{48})?", digest)
        ):
            raise ValueError("its names and hashes do not belong together")
    return rows
