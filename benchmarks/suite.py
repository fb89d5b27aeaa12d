"""A suite: which module measures, with which parameters, as TOML. Run with `python -m benchmarks NAME`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from fcn_deploy.errors import RecordError, UnknownNameError
from fcn_deploy.system.serialization.decode import decode

SUITES = Path(__file__).parent / "suites"
Measured = tuple[list[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Suite:
    """One benchmark, as read from `suites/NAME.toml`.

    Attributes:
        question: what the numbers answer, in a sentence.
        module: the module next to this one whose `measure(**parameters)` returns the rows and the remarks on them.
        packages: distributions whose versions go into the record.
        parameters: as the file has them; the command line may replace each.
    """

    name: str
    question: str
    module: str
    packages: tuple[str, ...]
    parameters: Mapping[str, Any]

    def measure(self) -> Measured:
        """Return rows and facts; imports the module only now."""
        call: Callable[..., Measured] = importlib.import_module(f".{self.module}", __package__).measure
        return call(**self.parameters)


def names(folder: Path = SUITES) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_suite(name: str, given: Sequence[str] = (), folder: Path = SUITES) -> Suite:
    """Read a suite.

    Args:
        given: "key=value" each, in place of the file's parameter; the value is TOML, or else the text itself.

    Raises:
        UnknownNameError: no such suite, or none of its parameters has that name.
        RecordError: a suite without what it needs.
    """
    if name not in names(folder):
        raise UnknownNameError.of("suite", name, names(folder))
    read = tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    suite = decode(Suite, read, f"{name}.toml", RecordError, strict=True, given={"name": name})
    parameters = dict(suite.parameters)
    for key, value in (_pair(text) for text in given):
        if key not in parameters:
            raise UnknownNameError.of(f"parameter of {name}", key, parameters)
        parameters[key] = value
    return replace(suite, parameters=parameters)


def _pair(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
