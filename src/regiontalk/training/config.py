"""Training configurations: TOML files read into typed dataclasses.

Types and ranges of fields are checked, defaults replace missing settings, and unknown settings are
errors. Paths are relative to the file.
"""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from regiontalk.errors import ConfigError, TrainingError
from regiontalk.json_files import read_toml
from regiontalk.settings import number, whole

Config = TypeVar("Config")

Count = Annotated[int, whole(1, 10**9)]
Seed = Annotated[int, whole(0, 2**63 - 1)]
Share = Annotated[float, number(0, 1)]
Positive = Annotated[float, number(1e-12, 1e12)]
NotNegative = Annotated[float, number(0, 1e12)]
Optimiser = Literal["sgd", "rmsprop", "adamw"]
Schedule = Literal["one_cycle", "constant", "trapezoid"]

NOT_IDENTITY = ("output", "stop_after", "max_pixels", "work", "anyway", "pack")
"""Fields that may change between a run and its continuation; a pack is identified by its checksum,
not by its path."""


def read_config(file: Path, kind: type[Config]) -> Config:
    """Read a configuration file into a dataclass of type `kind`.

    Raises:
        ConfigError: naming the file, the field, what was expected and what was found.
    """
    values = read_toml(file)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - known.keys()):
        raise ConfigError(
            f"{file}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    required = [
        name for name, field in known.items() if field.default is MISSING and name not in values
    ]
    if required:
        raise ConfigError(f"{file}: setting {', '.join(required)} is missing")
    hints = get_type_hints(kind)
    converted = {
        name: convert(value, hints[name], f"{file}: {name}", file.parent)
        for name, value in values.items()
    }
    try:
        return kind(**converted)
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error


def convert(value: Any, hint: Any, where: str, base: Path) -> Any:
    """Convert a TOML value to the type of a field."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is types.UnionType:  # X | None; TOML has no null, so it is X
        return convert(value, next(a for a in arguments if a is not type(None)), where, base)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(
                f"{where}: expected one of {', '.join(map(repr, arguments))}, found {value!r}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        inner = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(inner) != len(value):
            raise ConfigError(f"{where}: expected {len(inner)} values, found {len(value)}")
        return tuple(convert(v, a, where, base) for v, a in zip(value, inner, strict=True))
    if hint is Path and isinstance(value, str):
        return (base / value).resolve()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value


def identity(config: Any, **more: Any) -> str:
    """A run's identity as JSON: settings that resumption must not change; of paths the names."""
    settings = {
        name: value for name, value in asdict(config).items() if name not in NOT_IDENTITY
    } | more
    return json.dumps(settings, sort_keys=True, default=lambda path: path.name)


def require_same_run(file: Path, found: str, run: str) -> None:
    """Check that a file belongs to this run, by the identities of both.

    Raises:
        TrainingError: if it is not; it names the settings that differ.
    """
    if found != run:
        raise TrainingError(
            f"{file}: belongs to a run with other settings; choose another output folder, or "
            "remove it to start anew\n"
            f"  then: {describe_difference(found, run)}"
        )


def describe_difference(before: str, now: str) -> str:
    """The settings in which two runs (JSON objects) differ."""
    try:
        a, b = json.loads(before), json.loads(now)
    except json.JSONDecodeError:
        return "unknown"
    differing = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return (
        ", ".join(f"{key} was {a.get(key)!r}, is {b.get(key)!r}" for key in differing)
        or "nothing differs"
    )
