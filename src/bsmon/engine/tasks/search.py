"""Where a module would come from, found without running anything: beside the config file first, then installed."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from bsmon.config.nearest import nearest
from bsmon.core.errors import BadInput
from bsmon.engine.tasks.problems import problem


@dataclass(frozen=True, slots=True)
class Found:
    """A module's place."""

    file: str
    top: str  # the file (or folder) of its outermost package, or of the module itself
    folder: str | None  # the config file's folder where the module is beside it; None: installed

    def is_origin_of(self, module: ModuleType) -> bool:
        """Whether a loaded outermost package or module came from here."""
        return module.__spec__ is not None and _place(module.__spec__) == self.top


def find_module(name: str, config_path: str, section: str) -> Found:
    """Where the module `name` of `section.target` is.

    Raises BadInput, with the nearest name, when it is neither beside the config file nor installed.
    """
    importlib.invalidate_caches()  # a file may be newer than the last look into its folder
    folder = str(Path(config_path).resolve().parent) if config_path else None
    parts = name.split(".")
    top, beside = _outermost(parts[0], folder)
    if top is None:
        raise _not_found(config_path, section, parts[0], _importable(folder))
    spec = top
    for depth in range(2, len(parts) + 1):
        inner = _inner(spec, parts[depth - 1])
        if inner is None:
            package, name = ".".join(parts[: depth - 1]), ".".join(parts[:depth])
            raise _not_found(config_path, section, name, [f"{package}.{part}" for part in _parts(spec)])
        spec = inner
    return Found(file=_place(spec), top=_place(top), folder=folder if beside else None)


def _outermost(name: str, folder: str | None) -> tuple[ModuleSpec | None, bool]:
    """The spec of a module without dots, and whether it lies in `folder`.

    A folder without __init__.py counts only where nothing else has the name: data/ beside a config hides no package.
    """
    own = PathFinder.find_spec(name, [folder]) if folder is not None else None
    if own is not None and own.origin is not None:
        return own, True
    try:
        installed = find_spec(name)
    except ValueError:  # a loaded module that has no spec, such as __main__
        installed = None
    if installed is not None and installed.origin is not None:
        return installed, False
    return (own, True) if own is not None else (installed, False)


def _inner(package: ModuleSpec, part: str) -> ModuleSpec | None:
    """The spec of a package's part, by its last name: a full name would need the package to be imported."""
    return PathFinder.find_spec(part, list(package.submodule_search_locations or ()))


def _parts(package: ModuleSpec) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(list(package.submodule_search_locations or ()))]


def _place(spec: ModuleSpec) -> str:
    """The file of a module, the folder of a package without __init__.py, or "built-in"."""
    if spec.origin is not None:
        return spec.origin
    return next(iter(spec.submodule_search_locations or ()), "built-in")


def _importable(folder: str | None) -> list[str]:
    """The names of the modules beside the config file, then of the installed ones."""
    places = [*([folder] if folder is not None else []), *sys.path]
    return [module.name for module in pkgutil.iter_modules(places)]


def _not_found(config_path: str, section: str, name: str, known: Iterable[str]) -> BadInput:
    match = nearest(name, known)
    hint = "" if match is None else f'; did you mean "{match}"?'
    where = "beside the config file or installed" if config_path else "installed"
    return problem(config_path, f"{section}.target", f'no module "{name}" is {where}{hint}')
