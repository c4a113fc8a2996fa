"""A config file -> `Config`. Everything that is wrong with it is said in one BadInput."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from bsmon.config.check import check_sections
from bsmon.config.overrides import apply_overrides
from bsmon.config.problems import Problems
from bsmon.config.read import check_limits, parse_toml, read_text
from bsmon.config.rules import check_rules
from bsmon.config.schema import DEFAULT_EPOCHS, Config, Run


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The config in the file at `path`, with `overrides` ("section.key=value") laid over it.

    Raises BadInput with a line for each problem; a line names file, key, value and the nearest right one.
    """
    return parse(read_text(path), path, overrides)


def parse(text: str, path: Path, overrides: Sequence[str] = ()) -> Config:
    """The config in `text`. `path` is where it came from: for messages, and to find files and targets beside it.

    Raises BadInput as `load` does.
    """
    table = parse_toml(text, path)
    problems = Problems(path)
    problems.overridden = apply_overrides(table, overrides, problems)
    check_limits(table, path)
    sections: dict[str, Any] = dict(check_sections(table, problems))
    if "run" in sections:
        sections["run"] = _with_an_end(sections["run"])
    problems.extend(check_rules(sections))
    problems.raise_if_any()
    return Config(**sections, path=str(path))


def _with_an_end(run: Run) -> Run:
    if run.epochs is None and run.max_steps is None:
        return structs.replace(run, epochs=DEFAULT_EPOCHS)
    return run
