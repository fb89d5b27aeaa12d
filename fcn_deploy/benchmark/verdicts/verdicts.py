"""Generate one-sentence verdicts: each row's bottleneck, its stability, its precision, and which row to choose."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fcn_deploy.benchmark.baseline.significance import Ratio, paired_ratio, ratio
from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.record.summary import is_reference, mean_change, reference_words
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.runner_specs import RunnerSpec, parse_spec
from fcn_deploy.benchmark.verdicts.bottleneck import bottleneck
from fcn_deploy.errors import UnknownNameError
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.runners.registry import REFERENCE, RUNNERS, device_of

About = Literal["bottleneck", "variance", "precision", "choice"]
# Points of mean IoU: a larger loss makes a faster row too costly; a smaller one counts as equally accurate.
COSTLY, SAME = 1.0, 0.3
# Types that a PyTorch network may be converted to, as a runner's name has them.
NARROW = ("fp16", "bf16")
# A p99 beyond this many medians is mentioned.
TAIL = 1.5


@dataclass(frozen=True)
class Verdict:
    """One sentence about a row; `row` is its place in the record, None where it is about all of them."""

    row: int | None
    about: About
    text: str


def verdicts(record: Record) -> list[Verdict]:
    """Return each row's bottleneck, stability and precision; then which precisions pay, and the choice."""
    found = []
    for place, row in enumerate(record.rows):
        if row.status == "ok":
            found += [Verdict(place, "bottleneck", text) for text in bottleneck(record, row)]
            found += [Verdict(place, "variance", text) for text in _variance(record, row)]
        found += [Verdict(place, "precision", text) for text in _precision(record, row)]
    found += [Verdict(place, "choice", text) for place, row in enumerate(record.rows) for text in _payoff(record, row)]
    return found + [Verdict(None, "choice", text) for text in _choice(record)]


def _variance(record: Record, row: Row) -> Iterator[str]:
    own = series(record, row.own)
    if own is None or len(own.shapes) < 2:
        return
    found = stability(own.total, own.shape_index)
    if found is None:
        return
    relative = own.total / np.median(own.total)
    known = f"the median is known to ± {100 * found.uncertainty:.1f} %"
    tail = float(np.percentile(relative, 99))
    one_shape = len(set(record.rounds)) == 1  # p99 of several sizes is always far from the median, and says nothing
    has_tail = one_shape and tail > TAIL and len(record.rounds) >= 100
    slow = f", but one round in a hundred takes {tail:.1f} times as long" if has_tail else ""
    state = "unsteady" if found.reasons else "steady"
    yield f"{state}: {known}, the middle half of the rounds spans {100 * found.spread:.1f} %{slow}"


def _precision(record: Record, row: Row) -> Iterator[str]:
    """Yield the precision that really ran, as far as the record knows it."""
    spec = _spec(row)
    built = row.built
    if built is not None and built.shares:
        largest = max(built.shares, key=lambda name: built.shares[name])
        shares = ", ".join(f"{100 * part:.1f} % {name}" for name, part in built.shares.items())
        wanted = (spec.precision or "").split("+")[0].upper()
        missed = f", though {wanted} was asked for" if wanted and wanted != largest else ""
        source = "by the builder's own list" if spec.is_engine else "in the file that ran"
        yield f"multiply-adds {source}: {shares}{missed}"
    line = RUNNERS.get(spec.runner.partition(":")[0])  # None for a runner of a later version's record
    if line is None:
        return
    on_x86 = str(record.environment.get("system", "")).endswith(("x86_64", "AMD64"))
    if not line.fp16_on_x86 and spec.precision == "fp16" and device_of(spec.runner) == "cpu" and on_x86:
        yield f"computed in FP32: {line.title} has no FP16 kernels for this CPU and converts the weights back"
    elif line.opens == "network" and row.status == "ok":
        narrow = [part for part in spec.runner.split(":") if part in NARROW]
        tf32 = device_of(spec.runner) == "cuda" and (record.environment.get("torch") or {}).get("cudnn_tf32")
        wide = "FP32" + (", convolutions in TF32 (cuDNN)" if tf32 else "")
        yield f"computed in {narrow[0].upper() if narrow else wide}"


def _payoff(record: Record, row: Row) -> Iterator[str]:
    """Compare a row of lower precision, or of another file, with the same runner's row of the model as it is."""
    plain = _plain_row(record, row)
    if plain is None:
        return
    quotient = speed_ratio(record, plain, row)
    if quotient is None:
        return
    before, after = plain.own.accuracy, row.own.accuracy
    cost = None if before is None or after is None else mean_change(before, after)
    yield f"{payoff_words(row.name, plain.name, quotient, cost)}{_agreement(record, row) if cost is None else ''}"


def payoff_words(name: str, plain: str, quotient: Ratio, cost: Interval | None) -> str:
    """Write "onnxruntime:int8 is worth it: 2.31 times as fast as onnxruntime (2.25 to 2.36), +0.17 points of mIoU"."""
    speed = f"{_times(quotient)} {plain}{_interval(quotient)}"
    ends = "" if cost is None or cost.low is None or cost.high is None else f" ({cost.low:+.2f} to {cost.high:+.2f})"
    price = "" if cost is None else f", {cost.value:+.2f} points of mIoU{ends}"
    return f"{name} {_judgement(quotient, cost)}: {speed}{price}"


def _times(quotient: Ratio) -> str:
    return f"{1 / quotient.value:.2f} times as fast as"


def _interval(quotient: Ratio) -> str:
    low, high = quotient.low, quotient.high
    return "" if low is None or high is None else f" ({1 / high:.2f} to {1 / low:.2f})"


def _judgement(quotient: Ratio, cost: Interval | None) -> str:
    if quotient.low is None:
        return "was timed for too few rounds to tell whether it is worth it"
    if not quotient.shorter:
        return "is slower here" if quotient.longer else "is not known to be faster here"
    proven = cost is not None and cost.value < -COSTLY and (cost.high is None or cost.high < 0)
    return "is faster and costs accuracy" if proven else "is worth it"


def _agreement(record: Record, row: Row) -> str:
    agreement = row.own.agreement
    if agreement is None or not agreement.overall.pixels:
        return ""
    agreed = math.floor(10_000 * agreement.overall.agreed / agreement.overall.pixels) / 100
    return f", {agreed:.2f} % of the labels as {reference_words(record)}'s"


def _spec(row: Row) -> RunnerSpec:
    """Parse the row's name; a runner that this version does not know is taken as one without a precision."""
    try:
        return parse_spec(row.runner)
    except UnknownNameError:
        return RunnerSpec(row.runner, row.runner)


def _plain_row(record: Record, row: Row) -> Row | None:
    """Return the timed row of the same runner on the model as it is, or in FP16 if there is none; of another file than
    the reference's, the same row of that one.
    """
    spec, timed = _spec(row), [other for other in record.rows if other.own.latency is not None]
    if spec.precision is None:
        first = record.model.label
        return next((other for other in timed if first == other.file != row.file and other.runner == row.runner), None)
    others = [(_spec(other), other) for other in timed if other.file == row.file]
    for precision in (None, "fp16"):
        for other, found in others:
            if other.runner == spec.runner and other.precision == precision != spec.precision:
                return found
    return None


def speed_ratio(record: Record, before: Row, after: Row) -> Ratio | None:
    """Divide the time of `after` by that of `before`, round by round, because they took turns; None if not timed.

    Isolated runners take turns too.
    """
    first, second = (series(record, row.own) for row in (before, after))
    if first is None or second is None:
        return None
    if len(first.shapes) != len(second.shapes):
        return ratio(first.total, second.total)
    return paired_ratio(first.total, second.total)


def _choice(record: Record) -> Iterator[str]:
    """Name the fastest row that is as accurate as the reference; without ground truth, the fastest."""
    timed = [(float(np.median(own.total)), row) for row in record.rows if (own := series(record, row.own))]
    if len(timed) < 2:
        return
    reference = record.reference_accuracy(None)
    if reference is None:
        best = min(timed, key=lambda pair: pair[0])[1]
        yield f"fastest here: {best.name}{_over_pytorch(record, best)}; {_unjudged(record, best)}"
        return
    faithful = [
        (median, row)
        for median, row in timed
        if is_reference(record, row)
        or (row.own.accuracy is not None and mean_change(reference, row.own.accuracy).value >= -SAME)
    ]
    chosen = min(faithful, key=lambda pair: pair[0])[1] if faithful else None
    named = "none that was timed" if chosen is None else f"{chosen.name}{_over_pytorch(record, chosen)}"
    yield f"fastest within {SAME} points of {reference_words(record)}'s mIoU: {named}"


def _unjudged(record: Record, row: Row) -> str:
    """Say why nothing is known of what the row's speed costs."""
    if record.reference is not None:
        return "without a ground truth nothing is known of its accuracy but the agreement"
    if row.own.accuracy is None:
        return "without a ground truth and without a reference nothing is known of its accuracy"
    return "without a reference nothing is known of what it costs in mIoU (see --reference)"


def _over_pytorch(record: Record, row: Row) -> str:
    """Write how many times as fast as the fastest of PyTorch's rows a row is; "" for a row of PyTorch, or without."""
    timed = [
        (float(np.median(own.total)), other)
        for other in record.rows
        if other.file == record.model.label and _is_pytorch(other) and (own := series(record, other.own))
    ]
    if not timed or (_is_pytorch(row) and row.file == record.model.label):
        return ""
    best = min(timed, key=lambda pair: pair[0])[1]
    quotient = speed_ratio(record, best, row)
    assert quotient is not None  # both were timed
    return f", {_times(quotient)} PyTorch's fastest row, {best.name}{_interval(quotient)}"


def _is_pytorch(row: Row) -> bool:
    return row.runner.partition(":")[0] == REFERENCE
