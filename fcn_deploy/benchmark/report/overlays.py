"""Draw label maps as small transparent pictures that a page lays over the photograph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.worst_frames import ALIKE, BOTH_WRONG, GAINED, LOST, UNLABELLED, WorstFrame, WorstFrames
from fcn_deploy.page.pictures import data_uri, labels_uri, photo_uri
from fcn_deploy.system.formatting import count, number

# Colours that keep apart for the colour-blind, on the photograph behind 60 % black.
VEIL = (0, 0, 0, 150)
DIFFERENCES = {
    LOST: ("only the reference is right", (255, 122, 0, 255)),
    GAINED: ("only this row is right", (64, 196, 255, 255)),
    BOTH_WRONG: ("both are wrong", (255, 80, 220, 255)),
    UNLABELLED: ("the truth is not known", (255, 255, 120, 255)),
}


@dataclass(frozen=True)
class Shown:
    """One frame of one row: the key of its photograph, a line about it, and its pictures.

    Attributes:
        layers: name and data URI of what is laid over the photograph, "" for nothing.
    """

    photo: str
    name: str
    caption: str
    layers: list[tuple[str, str]]


@dataclass(frozen=True)
class Overlays:
    """All frames of a page.

    Attributes:
        photos: key -> (data URI, width, height), each photograph once.
        classes, differences: name and CSS colour.
    """

    photos: dict[str, tuple[str, int, int]]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]
    classes: tuple[tuple[str, str], ...]
    differences: tuple[tuple[str, str], ...]


def overlays(record: Record, kept: WorstFrames) -> Overlays:
    """Return the worst frames of each row, as many as were kept."""
    reference = record.reference.name if record.reference is not None else "the reference"
    photos: dict[str, tuple[str, int, int]] = {}
    keys: dict[str, str] = {}
    rows = []
    for row, frames in [(row, kept.rows[place]) for place, row in enumerate(record.rows) if kept.rows.get(place)]:
        for frame in frames:
            if frame.name not in keys:
                keys[frame.name] = f"photo{len(keys)}"
                photos[keys[frame.name]] = (photo_uri(frame.image), frame.image.shape[1], frame.image.shape[0])
        rows.append((row.name, tuple(_shown(frame, keys[frame.name], row, reference, kept) for frame in frames)))
    differences = tuple((words, f"rgb{colour[:3]}") for words, colour in DIFFERENCES.values())
    return Overlays(photos, tuple(rows), _legend(kept), differences)


def _name(frame: WorstFrame, row: Row) -> str:
    """Name a frame as the record does, below the folder that all images share: a page names no other folder."""
    path = Path(frame.name).as_posix()
    known = [one.name for one in row.own.frames if path == one.name or path.endswith(f"/{one.name}")]
    return max(known, key=len, default=frame.name)


def _shown(frame: WorstFrame, photo: str, row: Row, reference: str, kept: WorstFrames) -> Shown:
    maps = [("ground truth", frame.truth), (reference, frame.reference), (row.name, frame.labels)]
    layers = [(name, labels_uri(labels, kept.palette)) for name, labels in maps if labels is not None]
    layers = [("image", ""), *layers, ("difference", difference_uri(frame.difference))]
    return Shown(photo, _name(frame, row), _caption(frame), layers)


def _caption(frame: WorstFrame) -> str:
    pixels = sum(frame.counts)
    verb = "differs" if frame.differing == 1 else "differ"
    parts = [f"{count(frame.differing, 'pixel')} {verb}, {number(100 * frame.differing / pixels, 3)} %"]
    parts += [f"{frame.counts[code]:,} where {words}" for code, (words, _) in DIFFERENCES.items() if frame.counts[code]]
    thinned = f"; shown at 1/{frame.factor} of its size" if frame.factor > 1 else ""
    return f"{parts[0]}: {', '.join(parts[1:])}{thinned}"


def _legend(kept: WorstFrames) -> tuple[tuple[str, str], ...]:
    """Return name and CSS colour of the classes that appear in any frame."""
    maps = [m for frames in kept.rows.values() for f in frames for m in (f.truth, f.reference, f.labels)]
    seen = {int(label) for labels in maps if labels is not None for label in np.unique(labels)}
    return tuple(
        (name, f"rgb{tuple(colour)}")
        for label, (name, colour) in enumerate(zip(kept.classes, kept.palette, strict=True))
        if label in seen
    )


def difference_uri(codes: NDArray[np.uint8]) -> str:
    """Encode uint8[h, w] of the five codes as a PNG data URI, dark where the labels are alike.

    Each pixel that differs is drawn 3 x 3, the gravest on top: a page shows the picture smaller, and one would vanish.
    """
    framed = np.pad(codes, 1)
    wide = np.lib.stride_tricks.sliding_window_view(framed, (3, 3)).max(axis=(2, 3))
    colours = {ALIKE: VEIL} | {code: colour for code, (_, colour) in DIFFERENCES.items()}
    return data_uri(np.array([colours[code] for code in range(len(colours))], np.uint8)[wide], "PNG")
