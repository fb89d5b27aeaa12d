"""List the circumstances of a run for its page: command line, files, rounds, machine, versions, each said once."""

from __future__ import annotations

from datetime import datetime

from fcn_deploy.benchmark.record.types import BenchmarkedModel, Record
from fcn_deploy.benchmark.report.remarks import sizes_text
from fcn_deploy.runners.registry import distributions
from fcn_deploy.system.formatting import count


def subject(record: Record) -> str:
    """Write which network labelled which images."""
    card, data = record.model.card or {}, record.data
    network = f"{card['model']}, {len(card['classes'])} classes, " if card else ""
    return f"{network}on {count(data.images, 'image')} of {data.name} ({sizes_text(data.sizes)})"


def run_facts(record: Record) -> list[tuple[str, list[str]]]:
    """Return names, each with its lines; what the record does not hold is left out."""
    found = {
        "Command": [record.command],
        "Measured": [moment(record.created)],
        "Machine": _machine(record),
        "Rounds": [_rounds(record)],
        "Files": [_file(model) for model in record.models],
        "Versions": [_versions(record)],
    }
    return [(name, kept) for name, lines in found.items() if (kept := [line for line in lines if line])]


def moment(created: str) -> str:
    """Write "27 November 2026, 13:52 UTC"; what is no ISO 8601 as it is."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = when.tzname() or ""
    return f"{when.day} {when:%B %Y, %H:%M} {zone}".strip()


def _machine(record: Record) -> list[str]:
    about = record.environment
    cores, memory = (about.get("cores") or {}).get("physical"), about.get("memory_bytes")
    cpu = [str(about["cpu"])] if about.get("cpu") else []
    cpu += [count(cores, "core")] if cores else []
    cpu += [f"{memory / 1e9:.0f} GB of memory"] if isinstance(memory, int) else []
    gpus = ", ".join(about.get("gpus") or []) or "no GPU: nothing was measured on one"
    return [", ".join(cpu), gpus, str(about.get("system") or "")]


def _rounds(record: Record) -> str:
    settings = record.settings
    how = "in turn, each in a process of its own" if settings.isolated else "in turn"
    rounds = f"{count(len(record.rounds), 'round')} of batch {settings.batch}"
    return f"{rounds}, runners {how}, {count(settings.threads, 'CPU thread')} each"


def _file(model: BenchmarkedModel) -> str:
    return f"{model.name}: {model.size_bytes / 1e6:,.1f} MB, SHA-256 {model.sha256[:12]}"


def _versions(record: Record) -> str:
    about, packages = record.environment, record.environment.get("packages") or {}
    own = [("fcn-deploy", about.get("fcn_deploy")), ("Python", about.get("python"))]
    found = [f"{name} {version}" for name, version in own if version]
    return ", ".join([*found, *(f"{name} {packages[name]}" for name in distributions() if name in packages)])
