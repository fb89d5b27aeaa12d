"""Build the tables of a record as plain text cells, which terminal, Markdown and HTML only lay out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcn_deploy.benchmark.record.measurement import Measurement, StreamLoad
from fcn_deploy.benchmark.record.streams import held_streams, p99_ms
from fcn_deploy.benchmark.record.summary import Fidelity, fidelity, is_reference, speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.verdicts.arithmetic import computed_in
from fcn_deploy.runners.registry import REFERENCE
from fcn_deploy.system.formatting import NONE, factor, milliseconds, number, points, share

MIB = 1 << 20
SATURATED = "saturated images/s"
MIOU_CHANGE = "points of mIoU"


@dataclass(frozen=True)
class Sheet:
    """One table: a title, column heads, and as many cells in each row.

    Attributes:
        words: columns that hold words and not figures; the first always does.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)


def without_column(sheet: Sheet, place: int) -> Sheet:
    """Return the sheet without one column."""
    words = tuple(at - (at > place) for at in sheet.words if at != place)
    columns, *rows = (row[:place] + row[place + 1 :] for row in (sheet.columns, *sheet.rows))
    return Sheet(sheet.title, columns, tuple(rows), words)


def sheets(record: Record) -> list[Sheet]:
    """Return the tables that have something to show for this record, in the order of reading."""
    compared = any(row.own.accuracy is not None or row.own.agreement is not None for row in record.rows)
    further = (
        streams_sheet(record),
        built_sheet(record),
        *([fidelity_sheet(record)] if compared else []),
        sizes_sheet(record),
    )
    return [speed_sheet(record), *(sheet for sheet in further if sheet.rows)]


def summary_sheet(record: Record) -> Sheet:
    """Return one table of what decides: time, speed-up, accuracy and agreement; columns without a figure are left out.

    The status has no head, and the speed-ups have the reference's name in theirs.
    """
    heads = ("runner", "", "median ms", times_head(record), "mIoU %", MIOU_CHANGE, "labels equal %")
    rows = []
    for row in record.rows:
        median, _, _, _, _, times, *_ = _speed_cells(record, row.own)
        found, reference = fidelity(record, row.own), is_reference(record, row)
        mean_iou, change, _, _, equal, *_ = _fidelity_cells(found, reference)
        rows.append(
            (row.name, _state(record, row), median, times, mean_iou, change if row.own.accuracy else NONE, equal)
        )
    kept = [at for at in range(len(heads)) if at < 3 or any(row[at] not in (NONE, "ref") for row in rows)]
    cells = tuple(tuple(row[at] for at in kept) for row in rows)
    return Sheet("Summary", tuple(heads[at] for at in kept), cells, words=(0, 1))


def times_head(record: Record) -> str:
    """Return the head of the speed-ups: "× pytorch"."""
    return f"× {record.reference.name if record.reference is not None else REFERENCE}"


def speed_sheet(record: Record) -> Sheet:
    """Return milliseconds of one batch, upload to download."""
    times = times_head(record)
    speeds = ("median ms", times, "p90 ms", "p99 ms", "images/s", SATURATED)
    heads = ("runner", "", *speeds, "upload ms", "run ms", "download ms", "peak MiB")
    rows = []
    for row in record.rows:
        median, p90, p99, images, saturated, faster, *steps = _speed_cells(record, row.own)
        rows.append((row.name, _state(record, row), median, faster, p90, p99, images, saturated, *steps))
    optional = (SATURATED, times)
    kept = [at for at, head in enumerate(heads) if head not in optional or any(row[at] != NONE for row in rows)]
    cells = tuple(tuple(row[at] for at in kept) for row in rows)
    return Sheet("Speed", tuple(heads[at] for at in kept), cells, words=(0, 1))


def _state(record: Record, row: Row) -> str:
    timed = speed(record, row.own)
    return "unstable" if row.status == "ok" and timed is not None and timed.unstable else row.status


def _speed_cells(record: Record, found: Measurement) -> list[str]:
    timed = speed(record, found)
    memory = NONE if found.memory is None else number(found.memory.peak_bytes / MIB, 0)
    if timed is None:
        return [NONE] * 9 + [memory]
    times = map(milliseconds, (timed.median_ms, timed.p90_ms, timed.p99_ms))
    rates = number(timed.images_per_s, 1), number(timed.saturated_images_per_s, 1), factor(timed.times_reference)
    steps = map(milliseconds, (timed.upload_ms, timed.execute_ms, timed.download_ms))
    return [*times, *rates, *steps, memory]


def fidelity_sheet(record: Record) -> Sheet:
    """Return accuracy against the ground truth, and agreement with the reference's labels, in per cent."""
    agreement = ("agreement %", "boundary agreement %", "low-margin agreement %")
    heads = ("runner", "mIoU %", "change points", "boundary mIoU %", "change points", *agreement, "worst class, points")
    rows = (
        (row.name, *_fidelity_cells(fidelity(record, row.own), is_reference(record, row)))
        for row in record.rows
        if row.status == "ok"
    )
    return Sheet("Accuracy", heads, tuple(rows))


def reference_place(record: Record) -> int:
    """Return the reference's place among the rows, which gives its colour; 0 if it has no row."""
    return next((index for index, row in enumerate(record.rows) if is_reference(record, row)), 0)


def _fidelity_cells(found: Fidelity, reference: bool) -> list[str]:
    agreements = (found.agreement, found.agreement_boundary, found.agreement_lowest_margin)
    worst = NONE if found.worst_class is None else f"{found.worst_class[0][:14]} {points(found.worst_class[1])}"
    return [
        number(found.mean_iou, 2),
        "ref" if reference else points(found.delta_points),
        number(found.boundary_mean_iou, 2),
        "ref" if reference else points(found.boundary_delta_points),
        *(NONE if part is None else share(part.agreed, part.pixels) for part in agreements),
        worst,
    ]


def lowest_edge(record: Record) -> str:
    """Return the logit margin below which agreement is called low-margin; "-" where no margins were measured."""
    agreements = [row.own.agreement for row in record.rows if row.own.agreement is not None]
    bins = [agreement.by_margin for agreement in agreements if agreement.by_margin]
    return number(bins[0][0].high, 3) if bins else NONE


def sizes_sheet(record: Record) -> Sheet:
    """Return each size with each batch: milliseconds of one batch, memory, accuracy at that size."""
    speeds = ("median ms", times_head(record), "p90 ms", "images/s", SATURATED, "peak MiB")
    heads = ("runner", "size", "batch", *speeds, "mIoU %", "change points")
    rows = []
    for row, found in resized_measurements(record):
        batch, height, width = found.shape or (0, 0, 0)
        median, p90, _, images, busy, times, *_, memory = _speed_cells(record, found)
        mean_iou, delta, *_ = _fidelity_cells(fidelity(record, found), is_reference(record, row))
        cells = (median, times, p90, images, busy, memory, mean_iou, delta)
        rows.append((row.name, f"{height}x{width}", str(batch), *cells))
    return Sheet("Sizes and batches", heads, tuple(rows), words=(0, 1))


def resized_measurements(record: Record) -> Iterator[tuple[Row, Measurement]]:
    """Yield every measurement on resized images: small sizes first, rows in the record's order within a shape."""
    shapes = {found.shape for row in record.rows for found in row.resized if found.shape}
    for shape in sorted(shapes, key=lambda shape: (shape[1] * shape[2], shape[0])):
        found = ((row, row.at(shape)) for row in record.rows)
        yield from ((row, measurement) for row, measurement in found if measurement is not None)


def streams_sheet(record: Record) -> Sheet:
    """Return how many streams each row holds, and p99 at that number and at one more."""
    heads = ("runner", "streams held", "p99 ms", "p99 ms of one more")
    found = ((row.name, held_streams(record, row)) for row in record.rows)
    rows = (
        (name, str(held.streams), _p99_cell(held.load), _p99_cell(held.beyond))
        for name, held in found
        if held is not None
    )
    return Sheet("Streams", heads, tuple(rows))


def _p99_cell(load: StreamLoad | None) -> str:
    """Return p99; with ">" where the load was given up, as later images would have taken longer."""
    return NONE if load is None else ">" * load.given_up + milliseconds(p99_ms(load))


def built_sheet(record: Record) -> Sheet:
    """Return the files made for the rows: size, seconds, multiply-adds in each type, and in which types they ran."""
    rows = []
    for row in record.rows:
        if row.built is not None:
            shares = ", ".join(f"{name} {100 * part:.1f} %" for name, part in row.built.shares.items())
            cells = [row.built.kind, number(row.built.size_bytes / 1e6, 1), number(row.built.seconds, 1)]
            ran = computed_in(record, row) or ("not known" if row.status == "ok" else NONE)
            rows.append((row.name, *cells, shares or NONE, ran))
    heads = ("runner", "file", "MB", "made in s", "types in the file", "computed in")
    return Sheet("Files made", heads, tuple(rows), words=(0, 1, 4, 5))
