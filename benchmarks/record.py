"""Records in `results`: added and never changed, named by time, device, commit and suite."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from fcn_deploy.system.environment import cpu_model
from fcn_deploy.system.files import write_text

SCHEMA = 2
RESULTS = Path(__file__).parent / "results"
# 2026-11-22T2231-amd-epyc-2c-26c7a19-peers.json; schema 1 had date, name and number alone.
_NAME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(T(?P<time>\d{4})-.+)?-(?P<suite>[a-z]+)(-(?P<number>\d+))?\.json", re.ASCII
)


def write(name: str, rows: Sequence[Mapping[str, Any]], packages: Sequence[str], facts: Mapping[str, Any]) -> Path:
    """Write the rows with their circumstances under a new name; earlier records stay.

    Args:
        packages: distributions whose versions are kept.
        facts: what else a reader must know; "device" among them is what computed, in place of the processor.
    """
    now, machine, commit = datetime.now(timezone.utc), _machine(), _commit()
    record = {
        "schema": SCHEMA,
        "benchmark": name,
        "time": now.isoformat(timespec="seconds"),
        "commit": commit,
        **facts,
        "machine": machine,
        "packages": {package: metadata.version(package) for package in packages},
        "rows": rows,
    }
    computed = facts.get("device", f"{machine['cpu']} {machine['cores']}c")
    device = re.sub(r"[^a-z0-9]+", "-", computed.lower()).strip("-")
    path = _new_path(f"{now:%Y-%m-%dT%H%M}-{device}-{commit}-{name}")
    write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """Read a record of any schema."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def newest(name: str, folder: Path | None = None) -> dict[str, Any] | None:
    """Return the record of suite `name` that was written last, or None."""
    ages = {path: age for path in (folder or RESULTS).glob("*.json") if (age := _age(path, name)) is not None}
    return read(max(ages, key=lambda path: ages[path])) if ages else None


def _age(path: Path, name: str) -> tuple[str, str, int] | None:
    """Sorts records of one suite; None for those of others."""
    found = _NAME.fullmatch(path.name)
    if found is None or found["suite"] != name:
        return None
    return found["date"], found["time"] or "", int(found["number"] or 1)


def _new_path(stem: str) -> Path:
    path, number = RESULTS / f"{stem}.json", 1
    while path.exists():
        number += 1
        path = RESULTS / f"{stem}-{number}.json"
    return path


def load_average() -> tuple[float, float, float] | None:
    return os.getloadavg() if hasattr(os, "getloadavg") else None


def _machine() -> dict[str, Any]:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_average": load_average(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _commit() -> str:
    """Seven digits, with "dirty" behind them if tracked files differ; "unknown" outside a checkout."""
    git = ["git", "-C", str(RESULTS.parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ".", "../fcn_deploy"], check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("dirty" if changed.returncode else "")
