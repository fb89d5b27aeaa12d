"""Write the table of what was tried as CSV: a line for each candidate, the winner first, with the whole reasons."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from fcn_deploy.choice.result import Tried
from fcn_deploy.system.escape import cell
from fcn_deploy.system.files import write_text
from fcn_deploy.vocabulary import shape_text

SUFFIX = ".tried.csv"
HEAD = (
    "candidate", "runner", "precision", "target", "size", "outcome", "frames", "miou_change", "low", "high", "ms",
    "rounds", "reason",
)  # fmt: skip


def tried_path(output: Path) -> Path:
    """Return where the table of `output` lies: best.onnx -> best.tried.csv."""
    return output.with_suffix(SUFFIX)


def ordered(tried: Sequence[Tried]) -> list[Tried]:
    """Return the winner first, then by time; those that were not timed last."""
    return sorted(tried, key=lambda each: (each.reason != "", each.ms is None, each.ms or 0.0))


def write_tried(path: Path, tried: Sequence[Tried]) -> None:
    """Write the table: points of mIoU with their 95 % interval, milliseconds; OutputError if that fails."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for each in ordered(tried):
        change = (None, None, None) if each.change is None else (each.change.value, each.change.low, each.change.high)
        numbers = ["" if number is None else f"{number:.4g}" for number in (*change, each.ms)]
        said = (each.name, each.runner, each.precision, each.target, shape_text(each.size), each.outcome, each.frames)
        writer.writerow([*map(cell, said), *numbers, each.rounds, cell(each.reason)])
    write_text(path, text.getvalue())
