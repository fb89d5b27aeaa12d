"""The options of `bench` for its reports: an HTML page, Markdown, comma-separated values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import STDOUT, json_path, leave
from fcn_deploy.cli.options.command import Decorator, option
from fcn_deploy.errors import FcnDeployError

if TYPE_CHECKING:
    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.gate.result import GateResult
    from fcn_deploy.benchmark.record.types import Record
    from fcn_deploy.benchmark.worst_frames import WorstFrames
    from fcn_deploy.metrics.budget import AccuracyBudget


def _report(kind: str, about: str) -> Decorator:
    return option(f"--{kind}", f"{kind}_path", metavar="FILE", writes=True, help=about)


REPORT_OPTIONS = (
    _report("html", "Write a page with plots and the worst frames."),
    _report("markdown", "Write the tables as Markdown; - prints them instead of the text."),
    _report("csv", "Write one line per row, size and batch; - prints them instead of the text."),
)


@dataclass(frozen=True)
class Reports:
    """The parsed values of `REPORT_OPTIONS`."""

    html_path: str | None
    markdown_path: str | None
    csv_path: str | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Reports:
        """Check before the work starts that every file can be written.

        Raises:
            UsageError: two are to be printed.
            OutputError: a file cannot be written.
        """
        from fcn_deploy.system.files import check_writable

        reports = cls(**{field.name: given[field.name] for field in fields(cls)})
        asked = [path for path in (*reports._paths(), json_path()) if path is not None]
        if asked.count(STDOUT) > 1:
            raise click.UsageError("- prints one of --html, --markdown, --csv and --json; give files to the others")
        for path in reports._paths():
            if path != STDOUT:
                check_writable(Path(path))
        return reports

    @property
    def printed(self) -> bool:
        """Whether one of the reports is printed instead of the text."""
        return STDOUT in self._paths()

    def _paths(self) -> list[str]:
        return [path for path in (self.html_path, self.markdown_path, self.csv_path) if path is not None]

    def frames(self) -> WorstFrames | None:
        """Return the store for the worst frames of a measurement; None if no page will show them."""
        from fcn_deploy.benchmark.worst_frames import WorstFrames

        return None if self.html_path is None else WorstFrames()

    def write(
        self,
        record: Record,
        kept: WorstFrames | None,
        comparison: Comparison | None = None,
        gate: GateResult | None = None,
        budget: AccuracyBudget | None = None,
    ) -> None:
        """Write every file that was asked for; one that cannot be written does not stop the others.

        Raises:
            OutputError: the first that could not be written.
        """
        from fcn_deploy.benchmark.report.compare import comparison_sheet
        from fcn_deploy.benchmark.report.html import render_html
        from fcn_deploy.benchmark.report.markdown import render_markdown
        from fcn_deploy.benchmark.report.text import render_csv

        more = () if comparison is None else (comparison_sheet(comparison),)
        renderings: dict[str | None, Callable[[], str]] = {
            self.html_path: lambda: render_html(record, kept, more, gate, budget),
            self.markdown_path: lambda: render_markdown(record, more, budget, gate),
            self.csv_path: lambda: render_csv(record),
        }
        errors = list[FcnDeployError]()
        for path, render in renderings.items():
            if path is not None:
                with keep_error(errors):
                    leave(path, render())
        if errors:
            raise errors[0]


@contextmanager
def keep_error(errors: list[FcnDeployError]) -> Iterator[None]:
    """Append an expected error of the block to `errors` and continue."""
    try:
        yield
    except FcnDeployError as error:
        errors.append(error)
