"""Keep what a command writes apart from what it reads: no output takes the place of an input.

Readers say what they read (`reads`), writers what they are going to replace (`claim`); whichever comes second notices
that both are one file, by whatever name or link. It lasts for one command or one call of the Python API (`apart`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from fcn_deploy.errors import OutputError

Paths = Callable[[], Iterable[Path]]


@dataclass
class _Scope:
    """The inputs so far, and what was at each output when it was claimed."""

    inputs: list[Paths] = field(default_factory=list)
    outputs: dict[Path, os.stat_result] = field(default_factory=dict)


_scope: ContextVar[_Scope | None] = ContextVar("scope", default=None)


@contextmanager
def apart() -> Iterator[None]:
    """Compare inputs and outputs of the block; within another block of this kind they count to that one."""
    if _scope.get() is not None:
        yield
        return
    token = _scope.set(_Scope())
    try:
        yield
    finally:
        _scope.reset(token)


def reads(*paths: Path) -> None:
    """Say that these files are read; OutputError if one is an output that would replace it."""
    reads_all(lambda: paths)


def reads_all(paths: Paths) -> None:
    """Say that all these files are read, however many: they are only looked at where an output is there already."""
    scope = _scope.get()
    if scope is None:
        return
    scope.inputs.append(paths)
    for target, before in scope.outputs.items():
        now = _state(target)
        if now is not None and os.path.samestat(now, before):
            _compare(target, now, paths)


def claim(*targets: Path) -> None:
    """Say that these files are written; OutputError if what is there is an input."""
    scope = _scope.get()
    if scope is None:
        return
    for target in targets:
        if (state := _state(target)) is not None:
            scope.outputs[target.absolute()] = state
            for paths in scope.inputs:
                _compare(target, state, paths)


def release(*targets: Path) -> None:
    """Say that these outputs are as they stay, and may be read from here on."""
    scope = _scope.get()
    if scope is None:
        return
    for target in targets:
        scope.outputs.pop(target.absolute(), None)


def _compare(target: Path, state: os.stat_result, paths: Paths) -> None:
    for path in paths():
        found = _state(path)
        if found is not None and os.path.samestat(found, state):
            other = "" if path.absolute() == target.absolute() else f" ({path})"
            raise OutputError(f"{target} is an input of this command{other}, which would be lost; give another file")


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
