"""Sum up the checks of a run: PASS or FAIL, the row that it is about, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fcn_deploy.benchmark.gate.checks import GateCheck, check_lines
from fcn_deploy.benchmark.record.summary import reference_words
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.verdicts.speed import timed_rows
from fcn_deploy.system.formatting import some
from fcn_deploy.system.serialization.plain import plain

BROKEN, FAILED, UNJUDGED = 3, 1, 4  # exit codes
MOST_NAMES = 4  # in one line

Badge = Literal["PASS", "FAIL"]


@dataclass(frozen=True)
class GateResult:
    """The result of a gate.

    Attributes:
        against: what the rows were compared with: "PyTorch", "the baseline of 2026-01-02".
        any_row: whether one row within the limits is enough (against the reference) or every row has to be (against a
            baseline).
        strict: whether a limit that could not be judged fails.
        rows: the names of the rows that were checked, the fastest first, those without times last.
        errors: "ROW: failed: REASON" for each row that failed.
    """

    against: str
    any_row: bool
    strict: bool
    checks: tuple[GateCheck, ...]
    rows: tuple[str, ...]
    errors: tuple[str, ...] = ()

    @property
    def row(self) -> str | None:
        """The fastest row that breaks no limit, one with every limit judged if there is one; None if all break one."""
        return next(iter((*self._judged, *self._whole)), None)

    @property
    def broken(self) -> tuple[str, ...]:
        """A line for each limit that is broken."""
        return check_lines(self.checks, "broken")

    @property
    def unjudged(self) -> tuple[str, ...]:
        """A line for each limit that was not judged, with the reason."""
        return check_lines(self.checks, "not judged")

    @property
    def exit_code(self) -> int:
        """3: no row is within the limits, or one got worse than the baseline; 1: a row failed; 4: not judged."""
        if self.broken and not (self.any_row and self.row is not None):
            return BROKEN
        if self.errors:
            return FAILED
        return UNJUDGED if self.strict and self._in_doubt else 0

    @property
    def doubtful(self) -> bool:
        """Whether a limit that matters was not judged."""
        return bool(self._in_doubt)

    @property
    def badge(self) -> Badge:
        """The word that a reader looks for first."""
        return "FAIL" if self.exit_code else "PASS"

    @property
    def line(self) -> str:
        """One line: the word, the row, and what decided."""
        if self.exit_code == 0:
            return f"PASS: {self._passed()}"
        lines = {BROKEN: self.broken, FAILED: self.errors, UNJUDGED: check_lines(self._in_doubt, "not judged")}
        first, *others = lines[self.exit_code]
        what = {BROKEN: f"broken against {self.against}: ", FAILED: "", UNJUDGED: "not judged: "}[self.exit_code]
        more = f" (and {len(others)} more, see above)" if others else ""
        return f"FAIL: {what}{first}{more}"

    @property
    def other_lines(self) -> tuple[str, ...]:
        """A line for each limit that is not judged or broken, without the one that `line` gives."""
        told = f"{self.line} ".removeprefix("FAIL: ")
        lines = [
            *(f"not judged: {line}" for line in self.unjudged),
            *(f"broken against {self.against}: {line}" for line in self.broken),
        ]
        return tuple(line for line in lines if not told.startswith(f"{line} "))

    def to_plain(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        head = {"verdict": self.badge, "line": self.line, "exit_code": self.exit_code, "row": self.row}
        return {**head, "broken": list(self.broken), "unjudged": list(self.unjudged), **plain(self)}

    @property
    def _whole(self) -> list[str]:
        """Rows that break no limit."""
        broken = {check.row for check in self.checks if check.verdict == "broken"}
        return [row for row in self.rows if row not in broken]

    @property
    def _judged(self) -> list[str]:
        """Rows within every limit."""
        unknown = {check.row for check in self.checks if check.verdict == "not judged"}
        return [row for row in self._whole if row not in unknown]

    @property
    def _in_doubt(self) -> tuple[GateCheck, ...]:
        """Checks that were not judged and matter: one whole row is enough where any row will do."""
        if self.any_row and self._judged:
            return ()
        return tuple(check for check in self.checks if check.verdict == "not judged")

    def _passed(self) -> str:
        limits = ", ".join(dict.fromkeys(check.limit for check in self.checks))
        doubt = ", but not every limit was judged (see above)" if self._in_doubt else ""
        if not self.any_row:
            return f"{some(self._whole, MOST_NAMES) or 'no row'}: no worse than {self.against} by {limits}{doubt}"
        broken = [row for row in self.rows if row not in self._whole]
        others = f"; broken by {some(broken, MOST_NAMES)}" if broken else ""
        return f"{self.row}: within {limits} of {self.against}{doubt}{others}"


def gate_result(
    record: Record, checks: Sequence[GateCheck], *, baseline: str | None = None, strict: bool = False
) -> GateResult:
    """Sum up checks.

    Args:
        baseline: when it was measured; None if the rows were compared with the reference of this run.
    """
    checked = dict.fromkeys(check.row for check in checks)
    timed = [row.name for row in timed_rows(record) if row.name in checked]
    failed = [row for row in record.rows if row.status == "failed" or (record.failed and row.status != "ok")]
    return GateResult(
        against=reference_words(record) if baseline is None else f"the baseline of {baseline}",
        any_row=baseline is None,
        strict=strict,
        checks=tuple(checks),
        rows=tuple(dict.fromkeys([*timed, *checked])),
        errors=tuple(f"{row.name}: {row.status}: {row.reason}" for row in failed),
    )
