"""Decide whether two records can be compared, and in what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.record.summary import speed
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.errors import RecordError
from fcn_deploy.runners.registry import distributions

# The share of a runner's threads that other processes may take before its times say nothing.
MOST_TAKEN = 0.1


def check_same(baseline: Record, record: Record) -> None:
    """Raise RecordError unless both are of the same classes, on the same images."""
    then, now = baseline.data, record.data
    if then.classes != now.classes:
        raise RecordError(_of_other("classes", ", ".join(then.classes), ", ".join(now.classes)))
    for what in ("images", "labelled", "sizes"):
        if getattr(then, what) != getattr(now, what):
            raise RecordError(_of_other("data", _data(baseline), _data(record)))
    truths = _truth(baseline), _truth(record)
    if None not in truths and truths[0] != truths[1]:
        raise RecordError(_of_other("data", "other ground truth", f"that of {now.name}"))


def obstacle_to_speed(baseline: Record, record: Record) -> str:
    """Return why the times of the two must not be compared; "" if they may."""
    then, now = _machine(baseline), _machine(record)
    if then != now:
        return f"the baseline was measured on another machine ({then}; here {now})"
    if baseline.settings.threads != record.settings.threads:
        return f"the baseline's runners had {baseline.settings.threads} threads, and these {record.settings.threads}"
    if baseline.settings.isolated != record.settings.isolated:
        how = ("took turns in one process", "had a process each (--isolate)")
        return f"the baseline's runners {how[baseline.settings.isolated]}, and these {how[record.settings.isolated]}"
    return next((line for side, name in _sides(baseline, record) for line in _crowded(side, name)), "")


def remarks(baseline: Record, record: Record) -> Iterator[str]:
    """Yield what may explain a difference: another model, other versions, unstable rows, a GPU that was throttled."""
    models = {model.label: model for model in baseline.models}
    for model in record.models:
        other = models.get(model.label)
        if other is not None and other.sha256 != model.sha256:
            yield (
                f"the model changed: {other.name} (SHA-256 {other.sha256[:8]}...) then, {model.name} "
                f"(SHA-256 {model.sha256[:8]}...) now; accuracy and speed are compared all the same"
            )
    then, now = (side.environment.get("packages") or {} for side in (baseline, record))
    for package in distributions():
        if then.get(package) != now.get(package):
            yield f"{package} was {then.get(package, 'not there')} and is {now.get(package, 'not there')}"
    timed = [(row.name, speed(baseline, row.own)) for row in baseline.rows]
    unsteady = [runner for runner, found in timed if found is not None and found.unstable]
    if unsteady:
        yield f"unstable in the baseline: {', '.join(unsteady)}; measure a new one on a quiet machine"
    for side, name in _sides(baseline, record):
        reasons = sorted({reason for state in side.gpu_states for reason in state.throttled})
        if reasons:
            yield f"during {name} the GPU held its clocks back: {', '.join(reasons)}"


def _sides(baseline: Record, record: Record) -> tuple[tuple[Record, str], tuple[Record, str]]:
    return (baseline, "the baseline"), (record, "this run")


def _crowded(record: Record, name: str) -> Iterator[str]:
    """Yield a line if other processes took a tenth of the runners' threads or more: the slowdown is then unknown."""
    cores = (record.environment.get("cores") or {}).get("logical")
    others, threads = record.other_cores, record.settings.threads
    if cores and others is not None and others + threads - cores > MOST_TAKEN * threads:
        yield f"during {name} other processes kept {others:.1f} of {cores} cores busy; measure on a quiet machine"


def _of_other(what: str, then: str, now: str) -> str:
    return f"the baseline is of other {what}: {then}; here {now}; measure a new baseline with --json"


def _data(record: Record) -> str:
    data = record.data
    sizes = ", ".join(f"{number} of {height}x{width}" for height, width, number in data.sizes[:3])
    return (
        f"{data.images} images of {data.name}, {data.labelled} with labels ({sizes}{', ...' * (len(data.sizes) > 3)})"
    )


def _truth(record: Record) -> tuple[Any, ...] | None:
    """Count the true pixels of each class; None without ground truth."""
    accuracies: list[Accuracy | None] = [*(row.own.accuracy for row in record.rows), record.reference_accuracy(None)]
    found = next((accuracy for accuracy in accuracies if accuracy is not None), None)
    if found is None:
        return None
    return tuple(sum(row) for row in found.overall)


def _machine(record: Record) -> str:
    facts = record.environment
    gpus = ", ".join(facts.get("gpus") or []) or "no GPU"
    return f"{facts.get('cpu')}, {(facts.get('cores') or {}).get('logical')} threads, {gpus}"
