"""`target = "package.module:callable"`: finding, importing and calling the person's own code.

Targets come from the config file only. A failure while importing is the person's to mend and becomes a BadInput that
carries the traceback of their code; a failure while calling passes through unchanged.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from bsmon.config.nearest import did_you_mean, nearest
from bsmon.config.schema import Config, TargetSection
from bsmon.engine.tasks.own_traceback import own_traceback
from bsmon.engine.tasks.problems import problem
from bsmon.engine.tasks.search import Found, find_module


def locate(target: str, config_path: str, section: str = "data") -> str:
    """The file that `target` of a config's section names, found without running it; "built-in" for a module of C code.

    Beside the config file first, then installed. Raises BadInput, with the nearest name, when there is no such module.
    """
    return find_module(target.partition(":")[0], config_path, section).file


def resolve(target: str, config_path: str, section: str = "data") -> tuple[Callable[..., Any], str]:
    """The callable that `target` names, and its file. Runs the module.

    Raises BadInput when the module is not found or does not import, or has no such callable.
    """
    module_name, _, attributes = target.partition(":")
    key = f"{section}.target"
    found = find_module(module_name, config_path, section)
    value: Any = _import(module_name, found, config_path, key)
    path = module_name
    for name in attributes.split("."):
        if not hasattr(value, name):
            known = [word for word in dir(value) if not word.startswith("_")]
            match = nearest(name, known)
            hint = "" if match is None else f'; did you mean "{match}"?'
            raise problem(config_path, key, f'"{path}" ({found.file}) has no "{name}"{hint}')
        value = getattr(value, name)
        path = f"{path}.{name}"
    if not callable(value):
        raise problem(config_path, key, f'"{target}" is {_a(type(value).__name__)}, and must be callable')
    return value, found.file


def call_target(config: Config, section: TargetSection, name: str) -> tuple[Any, str]:
    """What the target of config section `name` returns for its arguments, and its file.

    Raises BadInput as `resolve` does, and when the arguments do not fit; what the call itself raises passes through.
    """
    function, file = resolve(section.target, config.path, name)
    _check_arguments(config, section, name, function)
    return function(**section.arguments), file


def wrong_return(config: Config, section: TargetSection, name: str, value: object, wanted: str) -> Exception:
    """The BadInput for a target that returned something else than `wanted`."""
    if isinstance(value, type):
        got = f"the class {value.__name__} itself, not an instance"
    else:
        got = "None" if value is None else _a(type(value).__name__)
    return problem(config.path, f"{name}.target", f'"{section.target}" returned {got}; it must return {wanted}')


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


def _import(name: str, found: Found, config_path: str, key: str) -> ModuleType:
    top = name.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is not None and found.folder is not None and not found.is_origin_of(loaded):
        other = getattr(loaded, "__file__", None) or "Python itself"
        raise problem(config_path, key, f'"{top}" beside the config file has the name of a module in use ({other})')
    with _first_on_path(found.folder):
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
            text = f'importing "{name}" ({found.file}) failed: {own_traceback(error)}'
            raise problem(config_path, key, text) from error


@contextmanager
def _first_on_path(folder: str | None) -> Iterator[None]:
    """The config's folder first on sys.path, as Python does for a script, and last from then on.

    Worker processes and imports inside functions need it later; in the last place it hides nothing.
    """
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:  # the module may have changed the list itself
            sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _check_arguments(config: Config, section: TargetSection, name: str, function: Callable[..., Any]) -> None:
    """Hold the section's other keys against the callable's signature."""
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):  # some callables of C code have none; the call itself will tell
        return
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {key: p for key, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for key in section.arguments:
        if key not in named and not free:
            takes = did_you_mean(key, named) or "it takes none"
            raise problem(config.path, f"{name}.{key}", f'"{section.target}" takes no such argument; {takes}')
    missing = [key for key, value in parameters.items() if _is_missing(key, value, section.arguments)]
    if missing:
        hint = "; it must return the loss function, not be it" if name == "loss" else ""
        words = ", ".join(f'"{key}"' for key in missing)
        raise problem(config.path, f"{name}.target", f'"{section.target}" needs {words}: add to [{name}]{hint}')


def _is_missing(key: str, parameter: inspect.Parameter, given: Mapping[str, object]) -> bool:
    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or key in given:
        return False
    return parameter.default is parameter.empty
