"""What differs between two configs, setting by setting."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bsmon.config.schema import Config
from bsmon.config.values import toml_value

_NOT_SETTINGS = ("path",)


def differences(old: Config, new: Config) -> dict[str, tuple[str, str]]:
    """Dotted key -> (old value, new value), as TOML, for every setting that differs; "absent" where there is none."""
    before, after = _flat(msgspec.to_builtins(old)), _flat(msgspec.to_builtins(new))
    keys = [key for key in {**before, **after} if key not in _NOT_SETTINGS]
    return {
        key: (before.get(key, "absent"), after.get(key, "absent")) for key in keys if before.get(key) != after.get(key)
    }


def _flat(value: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, item in value.items():
        # A target's and an optimizer's own arguments stand in the section itself, as they do in the file.
        name = prefix.rstrip(".") if key == "arguments" else f"{prefix}{key}"
        if isinstance(item, Mapping):
            found |= _flat(item, f"{name}." if name else "")
        elif item is not None:
            found[name] = toml_value(item)
    return found
