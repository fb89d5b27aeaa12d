"""The options of `bench` alone: how it measures, and the records that it shows again or compares with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.command import option, refuse_without, typed
from fcn_deploy.cli.options.data import threads_option
from fcn_deploy.cli.options.report import Reports
from fcn_deploy.cli.options.values import COUNT, picked, size_value
from fcn_deploy.vocabulary import Size

LONGEST_SIDE = 1 << 16
WORSE = 3  # exit code: measured, and worse than the limits allow


def sizes(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[tuple[int, int], ...]:
    """Parse "360x480,720x960" as ((360, 480), (720, 960)), height first."""
    return tuple(dict.fromkeys(_size(part) for part in _parts(text)))


def batches(text: str) -> tuple[int, ...]:
    """Parse "1,4" as (1, 4)."""
    found = _parts(text)
    for part in found:
        if not re.fullmatch(r"\d{1,9}", part) or int(part) < 1:
            raise click.BadParameter(f"'{part}' is not a number of images; write 4, or 1,4")
    if not found:
        raise click.BadParameter("it names no number of images; write 4, or 1,4")
    return tuple(dict.fromkeys(map(int, found)))


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _size(text: str) -> Size:
    size = size_value(text)
    if max(size) > LONGEST_SIDE:
        raise click.BadParameter(f"'{text}' has a side of more than {LONGEST_SIDE} pixels; give smaller sizes")
    return size


def points(text: str) -> float:
    """Parse "0.3" as 0.3 points of mIoU, 0 to 100."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) > 100:
        raise click.BadParameter(f"'{text}' is not a number of points; write 0.3 for three tenths of a point of mIoU")
    return float(text)


def percent(text: str) -> float:
    """Parse "5%" as 0.05. A bare 5 or 0.05 could mean either."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text)
    if found is None:
        raise click.BadParameter(f"'{text}' is not a percentage; write 5% for five per cent")
    return float(found[1]) / 100


TIMING_OPTIONS = (
    option("--iterations", type=COUNT, default=500, help="Largest number of rounds."),
    option(
        "--seconds",
        type=click.FloatRange(min=0),
        default=20.0,
        help="Stop after this time, but after at least 3 rounds.",
    ),
    option(
        "--stop-at",
        "tolerance",
        was=("--tolerance",),
        type=percent,
        default="1%",
        help="Stop early, after at least 100 rounds, once every median is known to within this; 0% disables it.",
    ),
    option(
        "--warmup",
        type=click.IntRange(min=0),
        default=3,
        help="Least number of untimed runs of each image size; more follow until they are steady. 0 for none.",
    ),
    option(
        "--sizes",
        callback=sizes,
        metavar="LIST",
        help="Also time the images resized to these sizes: 360x480,720x960. With --batch this makes a grid.",
    ),
    option(
        "--batch",
        "batches",
        type=batches,
        default="1",
        metavar="LIST",
        help="Images per inference: 4, or 1,4. The original sizes are timed with the first.",
    ),
    option(
        "--saturation",
        type=click.FloatRange(min=0),
        default=1.5,
        metavar="SECONDS",
        help="Time to measure images per second with a queue that is never empty; 0 to skip it.",
    ),
    option("--no-memory", is_flag=True, help="Do not measure peak memory, which opens each runner again."),
    option("--isolate", is_flag=True, help="Time each runner in a process of its own."),
    threads_option("usable cores"),
)


def timing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parsed values as keyword arguments of `bench`."""
    names = ("iterations", "seconds", "warmup", "sizes", "batches", "saturation", "threads")
    return {
        **picked(given, *names),
        "stop_at": given["tolerance"] or None,
        "memory": not given["no_memory"],
        "isolated": given["isolate"],
    }


if TYPE_CHECKING:
    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.record.types import Record


GATE_OPTIONS = (
    option("--baseline", metavar="RECORD", help="Compare with a record that --json wrote."),
    option("--max-miou-drop", type=points, help="Largest loss of mIoU of a row against the baseline, in points."),
    option("--max-slowdown", type=percent, help="Largest slowdown of a row against the baseline: 5%."),
    option("--relative", is_flag=True, help="Compare shares of PyTorch's time, if the machine's speed varies."),
)
from_option = option("--from", "from_path", metavar="RECORD", help="Show a record again; measure nothing.")


@dataclass(frozen=True)
class Gate:
    """The parsed values of `GATE_OPTIONS`; a slowdown of 0.05 is five per cent."""

    from_path: str | None
    baseline: str | None
    max_miou_drop: float | None
    max_slowdown: float | None
    relative: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Gate:
        """Raise UsageError for limits without a baseline, and for `--from` with options of a measurement."""
        gate = cls(**{field.name: given[field.name] for field in fields(cls)})
        limits = ("max_miou_drop", "max_slowdown", "relative")
        refuse_without("baseline", *limits, words="needs --baseline, a record to compare with")
        if gate.from_path is not None:
            _refuse_measuring()
        return gate

    def read_baseline(self) -> Record | None:
        """Return the baseline, checked as far as is possible before anything is measured.

        Raises:
            RecordError: it cannot be read, or holds no accuracy where a limit is set on that.
        """
        from fcn_deploy.benchmark.record.file import read_record
        from fcn_deploy.errors import RecordError

        if self.baseline is None:
            return None
        baseline = read_record(Path(self.baseline))
        if self.max_miou_drop is not None and all(row.own.accuracy is None for row in baseline.rows):
            raise RecordError(f"{self.baseline} holds no accuracy; --max-miou-drop needs one of labelled images")
        return baseline

    def compare(self, baseline: Record | None, record: Record) -> Comparison | None:
        """Return the comparison; None without a baseline.

        Limits that cannot be judged are named on standard error, also with -q: their absence would look like a pass.
        """
        from fcn_deploy.benchmark.baseline.compare import compare_records
        from fcn_deploy.benchmark.baseline.limits import Limits

        if baseline is None:
            return None
        limits = Limits(self.max_miou_drop, self.max_slowdown)
        found = compare_records(baseline, record, relative=self.relative, limits=limits)
        for line in found.unjudged:
            click.echo(line, err=True)
        return found

    def verdict(self, comparison: Comparison | None) -> str:
        """Return the last line of a gate that no row broke; "" without limits or where one is broken."""
        if comparison is None or comparison.worse or (self.max_miou_drop is None and self.max_slowdown is None):
            return ""
        return "gate: passed, but not every limit was judged (see above)" if comparison.unjudged else "gate: passed"


def _refuse_measuring() -> None:
    """Raise UsageError for an option that says how to measure."""
    parameters = [parameter for parameter in click.get_current_context().command.params if parameter.expose_value]
    always = {"details", *(field.name for options in (Gate, Reports) for field in fields(options))}
    given = [parameter for parameter in parameters if parameter.name not in always and typed(str(parameter.name))]
    if given:
        names = (each.opts[0] if each.opts[0][0] == "-" else str(each.name).upper() for each in given)
        raise click.UsageError(f"--from measures nothing; leave out {', '.join(names)}")
