"""The options of `bench` that say what a row may lose, against what, and where the result goes."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import STDOUT, fitted, leave, say
from fcn_deploy.cli.options.bench import PERCENT
from fcn_deploy.cli.options.budget import budget_of, budget_options
from fcn_deploy.cli.options.command import option, refuse_without, typed
from fcn_deploy.cli.options.report import Reports

if TYPE_CHECKING:
    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.gate.result import GateResult
    from fcn_deploy.benchmark.record.types import Record
    from fcn_deploy.metrics.budget import AccuracyBudget

GATE_OPTIONS = (
    option("--baseline", metavar="RECORD", help="Compare with a record that --json wrote, not with the reference."),
    *budget_options("of a row"),
    option(
        "--max-slowdown", type=PERCENT, metavar="PERCENT", help="Largest slowdown of a row against the baseline: 5%."
    ),
    option("--relative", is_flag=True, help="Compare shares of PyTorch's time, if the machine's speed varies."),
    option("--strict", is_flag=True, help="Fail (exit code 4) where a limit could not be judged."),
    option(
        "--junit", "junit_path", metavar="FILE", writes=True, help="Write a JUnit file: a test for each row and limit."
    ),
)
from_option = option("--from", "from_path", metavar="RECORD", help="Show a record again; measure nothing.")


@dataclass(frozen=True)
class Gate:
    """The parsed values of `GATE_OPTIONS`; a slowdown of 0.05 is five per cent."""

    from_path: str | None
    baseline: str | None
    max_miou_drop: float | None
    max_boundary_drop: float | None
    max_class_drop: Mapping[str, float] | None
    max_slowdown: float | None
    relative: bool
    strict: bool
    junit_path: str | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Gate:
        """Check the options against each other.

        Raises:
            UsageError: a limit on time without a baseline, `--strict` or `--junit` without a limit, or `--from` with
                options of a measurement.
            OutputError: the JUnit file cannot be written.
        """
        from fcn_deploy.system.files import check_writable

        gate = cls(**{field.name: given[field.name] for field in fields(cls)})
        refuse_without("baseline", "max_slowdown", "relative", words="needs --baseline, a record to compare with")
        for name, flag in (("strict", "--strict"), ("junit_path", "--junit")):
            if given[name] and not gate.limited:
                raise click.UsageError(f"{flag} needs a limit, such as --max-miou-drop 0.3")
        if gate.junit_path == STDOUT:
            raise click.UsageError("--junit prints nothing; name a file")
        if gate.junit_path is not None:
            check_writable(Path(gate.junit_path))
        if gate.from_path is not None:
            _refuse_measuring()
        return gate

    @property
    def budget(self) -> AccuracyBudget:
        """What a row may lose in accuracy."""
        return budget_of({field.name: getattr(self, field.name) for field in fields(self)})

    @property
    def reference_budget(self) -> AccuracyBudget | None:
        """What a row may lose against the reference of its run; None with a baseline, or without such a limit."""
        return self.budget if self.baseline is None and self.budget else None

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return bool(self.budget) or self.max_slowdown is not None

    def read_baseline(self) -> Record | None:
        """Return the baseline, checked as far as is possible before anything is measured.

        Raises:
            RecordError: it cannot be read, or holds no accuracy where a limit is set on that.
            UnknownNameError: a limit is on a class that it does not have.
        """
        from fcn_deploy.benchmark.record.file import read_record
        from fcn_deploy.errors import RecordError

        if self.baseline is None:
            return None
        baseline = read_record(Path(self.baseline))
        if self.budget and all(row.own.accuracy is None for row in baseline.rows):
            option = self.budget.limits[0].option
            raise RecordError(f"{self.baseline} holds no accuracy; {option} needs one of labelled images")
        self.budget.check(baseline.data.classes)
        return baseline

    def compare(self, baseline: Record | None, record: Record) -> Comparison | None:
        """Return the comparison; None without a baseline."""
        from fcn_deploy.benchmark.baseline.compare import compare_records
        from fcn_deploy.benchmark.baseline.limits import Limits

        if baseline is None:
            return None
        limits = Limits(self.budget, self.max_slowdown)
        return compare_records(baseline, record, relative=self.relative, limits=limits)

    def judge(self, record: Record, comparison: Comparison | None) -> GateResult | None:
        """Return the result of the gate; None without a limit, and where the baseline could not be compared."""
        from fcn_deploy.benchmark.gate.reference import checks_against_reference
        from fcn_deploy.benchmark.gate.result import gate_result

        if not self.limited or (self.baseline is not None and comparison is None):
            return None
        if comparison is not None:
            return gate_result(record, comparison.checks, baseline=comparison.created, strict=self.strict)
        return gate_result(record, checks_against_reference(record, self.budget), strict=self.strict)

    def write(self, record: Record, gate: GateResult | None) -> None:
        """Write the JUnit file, and on GitHub Actions the job's page; OutputError if it cannot be written."""
        from fcn_deploy.benchmark.gate.github import add_summary
        from fcn_deploy.benchmark.gate.junit import render_junit
        from fcn_deploy.benchmark.report.markdown import render_markdown

        if gate is None:
            return
        if self.junit_path is not None:
            leave(self.junit_path, render_junit(record, gate))
        add_summary(os.environ, gate, lambda: render_markdown(record, budget=self.reference_budget))

    def say(self, gate: GateResult | None, shown: Container[str] = ()) -> None:
        """Print on standard error, also with -q, what broke and what was not judged; PASS or FAIL is the last line.

        Args:
            shown: "VERDICT: ROW: SENTENCE" of each line that the same terminal shows already; it is not repeated.
        """
        from fcn_deploy.benchmark.gate.github import annotation_lines, in_actions

        if gate is None:
            return
        lines = [line for line in gate.other_lines if line.replace(f" against {gate.against}", "", 1) not in shown]
        for line in (*lines, *(annotation_lines(gate) if in_actions(os.environ) else ()), gate.line):
            say(line if line.startswith("::") else fitted(line))


def _refuse_measuring() -> None:
    """Raise UsageError for an option that says how to measure."""
    parameters = [parameter for parameter in click.get_current_context().command.params if parameter.expose_value]
    always = {"details", *(field.name for options in (Gate, Reports) for field in fields(options))}
    given = [parameter for parameter in parameters if parameter.name not in always and typed(str(parameter.name))]
    if given:
        names = (each.opts[0] if each.opts[0][0] == "-" else str(each.name).upper() for each in given)
        raise click.UsageError(f"--from measures nothing; leave out {', '.join(names)}")
