"""How much a config trains on, found without torch: from settings, a file's header, a text's length."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import IO, Literal

from bsmon.config.schema import (
    CatsVsDogsData,
    Config,
    DataTarget,
    DigitsData,
    LongTailData,
    NpzData,
    TextData,
)
from bsmon.engine.tasks.problems import input_file, problem
from bsmon.engine.tasks.text_file import divide, read_text, windows

_IMAGE_DIMENSIONS = 4  # samples x channels x height x width


@dataclass(frozen=True, slots=True)
class DataSize:
    """Training samples and what they are; None where only building the data would tell."""

    samples: int | None = None
    domain: Literal["images", "text", "other"] | None = None


def data_size(config: Config) -> DataSize:
    """What `build_data` would come to. Raises BadInput for a file that is missing or cannot be read."""
    match config.data:
        case DigitsData() as section:
            with as_file(files("bsmon.engine.tasks") / "carried" / "digits.npz") as path:
                total = _shapes(path)["x"][0]
            return DataSize(total - held_out(config, total, section.validation), section.domain)
        case NpzData() as section:
            return _npz(config, section)
        case TextData() as section:
            characters, _ = divide(config, section, len(read_text(config, section).text))
            samples = windows(characters, section.context, section.stride or section.context)
            return DataSize(samples, section.domain)
        case CatsVsDogsData() as section:
            return DataSize(section.samples, section.domain or "other")
        case LongTailData() as section:
            total = section.samples - held_out(config, section.samples, section.validation)
            return DataSize(total, section.domain or "other")
        case DataTarget() as section:
            return DataSize(domain=section.domain)


def held_out(config: Config, samples: int, share: float) -> int:
    """How many of `samples` a share holds out; one at least, where the share is above 0.

    Raises BadInput where nothing would be left to train on.
    """
    held = 0 if share == 0 else max(1, round(samples * share))
    if held >= samples:
        raise problem(
            config.path,
            "data.validation",
            f"a share of {share:g} of {samples:,} samples leaves none to train on; give more data or a smaller share",
        )
    return held


def _npz(config: Config, section: NpzData) -> DataSize:
    path = input_file(config.path, "data.path", section.path)
    try:
        shapes = _shapes(path)
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        text = f'"{path.name}" cannot be read as a NumPy .npz file: {error}'
        raise problem(config.path, "data.path", text) from error
    shape = shapes.get("x", ())
    if not shape:
        raise problem(config.path, "data.path", f'"{path.name}" has no array "x" of samples')
    apart = "x_val" in shapes or "y_val" in shapes
    samples = shape[0] if apart else shape[0] - held_out(config, shape[0], section.validation)
    return DataSize(samples, section.domain or ("images" if len(shape) == _IMAGE_DIMENSIONS else None))


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every array in a .npz file, from the headers alone: the numbers stay unread."""
    with zipfile.ZipFile(path) as archive:
        found = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                found[name.removesuffix(".npy")] = _shape(member)
        return found


def _shape(member: IO[bytes]) -> tuple[int, ...]:
    from numpy.lib import format as npy

    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(member)
    if version not in read:
        raise ValueError(f"version {version} of the format is not known")
    return read[version](member)[0]
