"""Explain the columns of a page's tables, split off their units, and mark the best figure of each."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from fcn_deploy.benchmark.record.summary import reference_words
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.report.sheets import SATURATED, Sheet, lowest_edge
from fcn_deploy.system.formatting import NONE

Better = Literal["", "less", "more"]

_UNIT = re.compile(r"(.+?),? (ms|s|%|MiB|MB|points)")
# Rows are compared within these, where a table has them.
_GROUPS = ("size", "batch")
_BETTER: dict[str, Better] = {
    "median ms": "less",
    "p90 ms": "less",
    "p99 ms": "less",
    "images/s": "more",
    SATURATED: "more",
    "peak MiB": "less",
    "MB": "less",
    "mIoU %": "more",
    "boundary mIoU %": "more",
    "agreement %": "more",
    "boundary agreement %": "more",
    "low-margin agreement %": "more",
    "streams held": "more",
}
_ABOUT = {
    "median ms": "half of the rounds took less; one batch, upload, run and download, the host waiting for the result",
    "p90 ms": "nine rounds in ten took less",
    "p99 ms": "99 rounds in 100 took less",
    "images/s": "images per second, one batch after another",
    SATURATED: "images per second where the next image never has to wait",
    "upload ms": "from the image in host memory to the runner's input",
    "run ms": "computing",
    "download ms": "from the runner's output to the labels in host memory",
    "peak MiB": "highest memory of a process that holds this runner alone",
    "file": "what was made for the row",
    "made in s": "rewriting the model and building the engine",
    "types in the file": "of the multiply-adds; of an engine by its builder's own list",
    "computed in": "what ran: by the runner's own account where it gives one",
    "mIoU %": "intersection over union with the label maps, mean over the classes",
    "size": "height and width of the resized images",
    "batch": "images per inference",
    "worst class, points": "the class that lost most IoU, and how much",
    "pixel acc.": "share of the pixels with the true label",
    "mean acc.": "the same within each class, mean over the classes",
    "f.w. IoU": "IoU of each class, weighted by its pixels",
    "ms then": "median in the baseline",
    "now": "the same in this run",
    "time": "how much longer the row takes, with the 95 % interval",
    "mIoU then": "in the baseline",
    "points": "of mIoU gained, with the 95 % interval",
    "logit margin": "the reference's best logit of a pixel less its second best",
}
# Heads that mean something else in one table.
_STREAMS = {
    "streams held": "the most streams of images with p99 within the deadline",
    "p99 ms": "at that number: 99 images in 100 took less from when they were due",
    "p99 ms of one more": "the same with one stream more, which is too much",
}


@dataclass(frozen=True)
class Column:
    """The head of a column: its name, its unit and what it means; "" for none. `words`: it holds no figures."""

    label: str
    unit: str
    about: str
    words: bool


@dataclass(frozen=True)
class Cell:
    """One cell; `best`: no other of the column is better."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A sheet as a page shows it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def explained(self) -> list[Column]:
        """The columns that have an explanation, each once."""
        return list(dict.fromkeys(column for column in self.columns if column.about))

    @property
    def marked(self) -> bool:
        """Whether a cell is marked as the best of its column."""
        return any(cell.best for row in self.rows for cell in row)


def grid(record: Record, sheet: Sheet) -> Grid:
    """Return the sheet with explained heads and the best cells marked."""
    best = _best(sheet)
    columns = tuple(
        Column(*_split(head), _about(record, sheet, place), place in sheet.words)
        for place, head in enumerate(sheet.columns)
    )
    rows = tuple(
        tuple(Cell(text, (at, place) in best) for place, text in enumerate(row)) for at, row in enumerate(sheet.rows)
    )
    return Grid(sheet.title, columns, rows)


def _split(head: str) -> tuple[str, str]:
    """Return "median ms" as "median" and "ms"."""
    found = _UNIT.fullmatch(head)
    return (head, "") if found is None else (found[1], found[2])


def _about(record: Record, sheet: Sheet, place: int) -> str:
    """Return what a column means, in the words of this record."""
    heads, words = sheet.columns, reference_words(record)
    head = heads[place]
    if head in _STREAMS and sheet.columns[1] == "streams held":
        return _STREAMS[head]
    if head.startswith("× "):
        return f"how many times as fast as {head[2:]}: median over the rounds"
    if head.startswith("time over "):
        return f"how much longer the row takes, as a share of {head[10:]} time, with the 95 % interval"
    if head == "change points":
        return f"{heads[place - 1].removesuffix(' %')} more or less than {words}'s"
    near = f"within {record.settings.radius} px of a change of"
    edge = lowest_edge(record)
    found = {
        "boundary mIoU %": f"mIoU {near} the true label",
        "agreement %": f"pixels with the label of {words}",
        "boundary agreement %": f"the same {near} {words}'s label",
        "low-margin agreement %": ""
        if edge == NONE
        else f"the same where its two best logits differ by less than {edge}",
    }
    return found.get(head, _ABOUT.get(head, ""))


def _best(sheet: Sheet) -> set[tuple[int, int]]:
    """Return row and column of the best cells; none where all are equal, or one has a figure."""
    keys = [at for at, head in enumerate(sheet.columns) if head in _GROUPS]
    groups = defaultdict[tuple[str, ...], list[int]](list)
    for at, row in enumerate(sheet.rows):
        groups[tuple(row[key] for key in keys)].append(at)
    found = set()
    for place, head in enumerate(sheet.columns):
        better = "more" if head.startswith("× ") else _BETTER.get(head)
        if head in _STREAMS and head != sheet.columns[1] == "streams held":
            continue
        for rows in groups.values() if better else ():
            values = {at: value for at in rows if (value := _value(sheet.rows[at][place])) is not None}
            if len(set(values.values())) > 1:
                best = (min if better == "less" else max)(values.values())
                found |= {(at, place) for at, value in values.items() if value == best}
    return found


def _value(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None
