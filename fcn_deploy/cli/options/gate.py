"""The options of `bench` that read a record: show it again, or compare a run with it and fail if it is worse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.command import option, refuse_without, typed
from fcn_deploy.cli.options.report import Reports

if TYPE_CHECKING:
    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.record.types import Record

WORSE = 3  # exit code: measured, and worse than the limits allow


def points(text: str) -> float:
    """ "0.3" as 0.3 points of mIoU, 0 to 100."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) > 100:
        raise click.BadParameter(f"'{text}' is not a number of points; write 0.3 for three tenths of a point of mIoU")
    return float(text)


def percent(text: str) -> float:
    """ "5%" as 0.05. A bare 5 or 0.05 could mean either."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", text)
    if found is None:
        raise click.BadParameter(f"'{text}' is not a percentage; write 5% for five per cent")
    return float(found[1]) / 100


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

    def read_record(self) -> Record | None:
        """Return the record to show again; None if one is to be measured."""
        from fcn_deploy.benchmark.record.file import read_record

        return None if self.from_path is None else read_record(Path(self.from_path))

    def read_baseline(self, source: str, model: str | None) -> Record | None:
        """Return the baseline, checked as far as is possible before anything is measured.

        Raises:
            RecordError: it cannot be read, is of another model than `source`, or holds no accuracy where a limit is
                set on that.
        """
        from fcn_deploy.benchmark.baseline.comparable import check_source
        from fcn_deploy.benchmark.record.file import read_record
        from fcn_deploy.errors import RecordError

        if self.baseline is None:
            return None
        baseline = read_record(Path(self.baseline))
        if self.max_miou_drop is not None and all(row.own.accuracy is None for row in baseline.rows):
            raise RecordError(f"{self.baseline} holds no accuracy; --max-miou-drop needs one of labelled images")
        if self.from_path is None:
            check_source(baseline, source, model=model)
        return baseline

    def compare(self, baseline: Record | None, record: Record) -> tuple[Comparison | None, list[str]]:
        """Return the comparison (None without a baseline) and a line for each limit that is broken.

        Limits that cannot be judged are named on standard error, also with -q: their absence would look like a pass.
        """
        from fcn_deploy.benchmark.baseline.compare import Limits, compare_records
        from fcn_deploy.benchmark.report.compare import broken_limits, unchecked_limits

        if baseline is None:
            return None, []
        found = compare_records(baseline, record, relative=self.relative)
        limits = Limits(self.max_miou_drop, self.max_slowdown)
        for line in unchecked_limits(found, limits):
            click.echo(line, err=True)
        return found, broken_limits(found, limits)


def _refuse_measuring() -> None:
    """Raise UsageError for an option that says how to measure."""
    parameters = [parameter for parameter in click.get_current_context().command.params if parameter.expose_value]
    always = {"details", *(field.name for options in (Gate, Reports) for field in fields(options))}
    given = [parameter for parameter in parameters if parameter.name not in always and typed(str(parameter.name))]
    if given:
        names = (each.opts[0] if each.opts[0][0] == "-" else str(each.name).upper() for each in given)
        raise click.UsageError(f"--from measures nothing; leave out {', '.join(names)}")
