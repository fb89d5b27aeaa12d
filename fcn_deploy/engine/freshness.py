"""Check whether the engine at a path is the one that would be built, and if not, why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn_deploy.engine.sidecar import Sidecar, read_sidecar, sidecar_path
from fcn_deploy.errors import EngineError
from fcn_deploy.system.files import sha256

SHOWN = 60


def reasons_to_build(engine: Path, key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return reasons to build: () if the engine is there, whole, and of this key.

    Args:
        key: as for `sidecar.Sidecar`; plain data.
    """
    if not engine.is_file():
        return (f"there is no {engine.name} yet",)
    if not sidecar_path(engine).is_file():
        return (f"{engine.name} has no {sidecar_path(engine).name} beside it",)
    try:
        sidecar = read_sidecar(engine)
    except EngineError as error:
        return (str(error),)
    if not matches_plan(sidecar, engine):
        return (f"{engine.name} is not the plan that its sidecar speaks of",)
    return differences(sidecar.key, key)


def matches_plan(sidecar: Sidecar, engine: Path) -> bool:
    """Return whether a plan, read to its end, is the one that the sidecar describes."""
    return engine.stat().st_size == sidecar.plan_bytes and sha256(engine) == sidecar.plan_sha256


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each entry that differs: "precision was fp16, now int8"."""
    names = [*now, *(name for name in before if name not in now)]
    pairs = [(name, before.get(name), now.get(name)) for name in names]
    return tuple(f"{name} was {_short(old)}, now {_short(new)}" for name, old, new in pairs if old != new)


def _short(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return f"{text[:12]}..."
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
