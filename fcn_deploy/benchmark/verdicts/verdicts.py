"""Generate one-sentence verdicts: each row's bottleneck, stability, precision, and what that precision gains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.benchmark.record.series import series
from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.record.summary import mean_change, reference_words
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.benchmark.verdicts.arithmetic import computed_in, spec_of, without_fp16_kernels
from fcn_deploy.benchmark.verdicts.bottleneck import bottleneck
from fcn_deploy.benchmark.verdicts.speed import SpeedUp, speed_ratio
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.runners.registry import RUNNERS

# "types" are plain facts of a file that was made for the row; "precision" is what a reader would not expect of it.
About = Literal["bottleneck", "variance", "precision", "types", "payoff"]
# A p99 beyond this many medians is mentioned.
TAIL = 1.5


@dataclass(frozen=True)
class Verdict:
    """One sentence about a row; `row` is its place in the record."""

    row: int
    about: About
    text: str


def verdicts(record: Record) -> list[Verdict]:
    """Return each row's bottleneck, stability and precision; then what each precision gains and costs."""
    found = []
    for place, row in enumerate(record.rows):
        if row.status == "ok":
            found += [Verdict(place, "bottleneck", text) for text in bottleneck(record, row)]
            found += [Verdict(place, "variance", text) for text in _variance(record, row)]
        found += [Verdict(place, about, text) for about, text in _precision(record, row)]
    payoffs = ((place, text) for place, row in enumerate(record.rows) for text in _payoff(record, row))
    return found + [Verdict(place, "payoff", text) for place, text in payoffs]


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


def _precision(record: Record, row: Row) -> Iterator[tuple[About, str]]:
    """Yield the types in the file that was made, and those that really ran, as far as the record knows them."""
    spec, built = spec_of(row), row.built
    computed = computed_in(record, row)
    if built is not None and built.shares:
        largest = max(built.shares, key=lambda name: built.shares[name])
        shares = ", ".join(f"{100 * part:.1f} % {name}" for name, part in built.shares.items())
        wanted = (spec.precision or "").split("+")[0].upper()
        missed = f", though {wanted} was asked for" if wanted and wanted != largest else ""
        if built.kind == "engine":
            yield "precision" if missed else "types", f"multiply-adds by the builder's own list: {shares}{missed}"
            return
        yield "precision" if missed else "types", f"types in the file, of the multiply-adds: {shares}{missed}"
    title = RUNNERS[_runner_name(spec)].title if _runner_name(spec) in RUNNERS else spec.runner
    if without_fp16_kernels(record, row):
        reason = f"{title} has no FP16 kernels for this CPU and converts the weights back"
        yield "precision", f"computed in FP32: {reason}"
    elif computed is not None and (built is not None or not computed.startswith("layers")):
        layers = computed.removeprefix("layers: ")
        words = f"computed in {layers}" if layers == computed else f"of the layers that multiply it computed {layers}"
        yield "precision" if built is None else "types", words
    elif built is not None and row.status == "ok":
        yield "types", f"in which types it computed is not known: {title} does not say"


def _runner_name(spec: RunnerSpec) -> str:
    """Return the runner's name without its device."""
    return spec.runner.partition(":")[0]


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
    """Write "onnxruntime:int8 is 2.31 times as fast as onnxruntime (2.25 to 2.36), +0.17 points of mIoU"."""
    ends = "" if cost is None or cost.low is None or cost.high is None else f" ({cost.low:+.2f} to {cost.high:+.2f})"
    price = "" if cost is None else f", {cost.value:+.2f} points of mIoU{ends}"
    verb, caveat = _certainty(quotient)
    return f"{name} {verb} {SpeedUp.of(quotient, plain)}{price}{caveat}"


def _certainty(quotient: Ratio) -> tuple[str, str]:
    """Return the verb, and what follows where chance alone may have made the difference."""
    if quotient.low is None:
        return "was", "; the rounds are too few to say whether by chance"
    if quotient.shorter:
        return "is", ""
    return ("is slower:", "") if quotient.longer else ("was", "; chance may explain the difference in speed")


def _agreement(record: Record, row: Row) -> str:
    agreement = row.own.agreement
    if agreement is None or not agreement.overall.pixels:
        return ""
    agreed = math.floor(10_000 * agreement.overall.agreed / agreement.overall.pixels) / 100
    return f", {agreed:.2f} % of the labels as {reference_words(record)}'s"


def _plain_row(record: Record, row: Row) -> Row | None:
    """Return the timed row of the same runner on the model as it is, or in FP16 if there is none; of another file than
    the reference's, the same row of that one.
    """
    spec, timed = spec_of(row), [other for other in record.rows if other.own.latency is not None]
    if spec.precision is None:
        first = record.model.label
        return next((other for other in timed if first == other.file != row.file and other.runner == row.runner), None)
    others = [(spec_of(other), other) for other in timed if other.file == row.file]
    for precision in (None, "fp16"):
        for other, found in others:
            if other.runner == spec.runner and other.precision == precision != spec.precision:
                return found
    return None
