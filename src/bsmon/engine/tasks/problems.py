"""How a task's problems are put to the person: file, key, what is wrong, what would do."""

from __future__ import annotations

from pathlib import Path

from bsmon.config.nearest import nearest
from bsmon.core.errors import BadInput


def problem(config_path: str, key: str, text: str) -> BadInput:
    """The error for a config's `key`: "run.toml: data.path: ..."; a config that was built in code has no file."""
    return BadInput(f"{config_path}: {key}: {text}" if config_path else f"{key}: {text}")


def input_file(config_path: str, key: str, name: str) -> Path:
    """The file that the config names, relative to the config file.

    Raises BadInput, with the nearest name in that folder, when it is no file.
    """
    path = Path(config_path).parent / name
    if path.is_dir():
        raise problem(config_path, key, f'"{name}" is a folder, not a file')
    if path.is_file():
        return path
    folder = path.parent
    if not folder.is_dir():
        raise problem(config_path, key, f'there is no folder "{folder}", so no file "{name}"')
    match = nearest(path.name, sorted(entry.name for entry in folder.iterdir() if entry.is_file()))
    hint = "" if match is None else f'; did you mean "{Path(name).with_name(match)}"?'
    raise problem(config_path, key, f'there is no file "{name}" in {folder.resolve()}{hint}')
