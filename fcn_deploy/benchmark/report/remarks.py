"""Write the lines above and below the tables of a benchmark record."""

from __future__ import annotations

import math
from typing import Any

from fcn_deploy.benchmark.record.summary import reference_words, speed
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.report.sheets import lowest_edge
from fcn_deploy.benchmark.verdicts.arithmetic import LAYERS
from fcn_deploy.benchmark.verdicts.streams import stream_lines
from fcn_deploy.benchmark.verdicts.verdicts import verdicts
from fcn_deploy.runners.registry import distributions
from fcn_deploy.system.formatting import NONE, count

FEW_ROUNDS = 30


def headline(record: Record) -> str:
    """Return model, images and how they were run, in one or two lines."""
    card, settings, data = record.model.card or {}, record.settings, record.data
    network = f"{card['model']}, {len(card['classes'])} classes, " if card else ""
    threads = count(settings.threads, "CPU thread")
    how = f"{'a process each, ' * settings.isolated}runners in turn, {threads} each"
    names = ", ".join(model.name for model in record.models)
    return (
        f"{names}: {network}on {count(data.images, 'image')} of {data.name} ({sizes_text(data.sizes)})\n"
        f"{count(len(record.rounds), 'round')} of batch {settings.batch}, {how}; times in ms"
    )


def remarks(record: Record) -> list[str]:
    """Return verdicts, then the circumstances, with empty lines between."""
    said = verdict_lines(record)
    about = circumstances(record)
    about += [*([""] if about else []), _meaning(record), environment_line(record.environment)]
    return [*said, *([""] if said else []), *about]


def _unstable(record: Record, row: Row) -> tuple[str, ...]:
    timed = speed(record, row.own)
    return tuple(timed.instability) if timed is not None and timed.unstable else ()


def verdict_lines(record: Record, *, types: bool = True) -> list[str]:
    """Return how many streams hold, then a line for each row, then what each precision gains and costs.

    How far the times of an unstable row spread is among the circumstances alone; without `types` what the table of
    files shows is left out.
    """
    unstable = {place for place, row in enumerate(record.rows) if _unstable(record, row)}
    found = [
        verdict
        for verdict in verdicts(record)
        if not (verdict.about == "variance" and verdict.row in unstable) and (types or verdict.about != "types")
    ]
    lines = stream_lines(record)
    for place, row in enumerate(record.rows):
        about = [verdict.text for verdict in found if verdict.row == place and verdict.about != "payoff"]
        if about:
            lines.append(f"{row.name}: {'. '.join([about[0], *(text[:1].upper() + text[1:] for text in about[1:])])}")
    return lines + [verdict.text for verdict in found if verdict.about == "payoff"]


def absences(record: Record) -> list[str]:
    """Return what a reader must know before the figures: rows that did not run and why, what is no reference."""
    built = {"built": "built, and not run"}
    lines = [f"{r.name} {built.get(r.status, r.status)}: {r.reason}" for r in record.rows if r.status != "ok"]
    if record.reference is None and record.reference_reason:
        lines.append(f"no PyTorch reference: {record.reference_reason}")
    elif record.reference_reason:
        lines.append(record.reference_reason)
    if record.data.left_out:
        lines.append(f"{count(record.data.left_out, 'image')} could not be used (left out)")
    return lines


def circumstances(record: Record) -> list[str]:
    """Return notes, energy, and why rows are unstable."""
    noted = ((row, note) for row in record.rows for note in row.notes)
    # Of a file that was made for the row its table says in which types the layers ran.
    lines = [f"{row.name}: {note}" for row, note in noted if not (row.built and note.startswith(LAYERS))]
    lines += [line for row in record.rows if (line := _energy(row))]
    for row in record.rows:
        if reasons := _unstable(record, row):
            lines.append(f"{row.name}: unstable, {', and '.join(reasons)}; measure again")
    if 0 < len(record.rounds) < FEW_ROUNDS:
        rounds = count(len(record.rounds), "round")
        lines.append(f"{rounds} only: p90 and p99 are little else than the slowest (see --seconds)")
    return lines


def _energy(row: Row) -> str:
    """Return joules of an image and watts of each device that counts; "" where none does."""
    busy = row.own.saturated
    if busy is None or not busy.images or busy.seconds <= 0:
        return ""
    used = [
        f"{joules / busy.images:.3g} J an image on {name} ({joules / busy.seconds:.0f} W)"
        for name, joules in busy.joules.items()
    ]
    return f"{row.name}: {', '.join(used)}, idle power included" if used else ""


def _meaning(record: Record) -> str:
    """Explain the columns in one paragraph."""
    sentences = [
        "Times are of one batch, upload, run and download, the host waiting for the result.",
        "Peak MiB is of a process that holds this runner alone.",
    ]
    if any(row.own.saturated is not None for row in record.rows):
        sentences.append("Saturated: the next image never has to wait.")
    if any(row.own.agreement is not None for row in record.rows):
        words, edge = reference_words(record), lowest_edge(record)
        sentences += [
            f"Change: points more or less than {words}.",
            f"Agreement: % of pixels that {words} labels alike;",
            f"boundary: within {record.settings.radius} px of a change of its label{'.' if edge == NONE else ';'}",
        ]
        sentences += [] if edge == NONE else [f"low-margin: where its two best logits differ by less than {edge}."]
    return " ".join(sentences)


def environment_line(environment: dict[str, Any]) -> str:
    """Return processor, versions and GPUs in one line."""
    packages = environment.get("packages") or {}
    versions = ", ".join(f"{name} {packages[name]}" for name in distributions() if name in packages)
    cores = (environment.get("cores") or {}).get("physical")
    gpus = ", ".join(environment.get("gpus") or []) or "no GPU here: nothing was measured on one"
    return f"{environment.get('cpu')}, {cores} cores; {versions}; {gpus}."


def sizes_text(sizes: tuple[tuple[int, int, int], ...]) -> str:
    """Write the only [height, width, count] as "192x256", or how many there are, the smallest and the largest."""
    if not sizes:
        return "none"
    if len(sizes) == 1:
        return f"{sizes[0][0]}x{sizes[0][1]}"
    smallest, largest = (end(sizes, key=lambda size: math.prod(size[:2])) for end in (min, max))
    return f"{len(sizes)} sizes, {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}"
