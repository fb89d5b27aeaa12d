"""How often `diagnose --labels-from` names the mistake of a program that runs an INT8 file.

The program (`slip_program`) makes every mistake that is known, alone and in pairs, on a few frames. Its file is made
from the FP32 one by ONNX Runtime's own quantiser, or by fcn-deploy's. Labels that no mistake made must stay
unexplained: noise, in pixels and in squares, those of another network, and those of other images. Label maps are
written to a temporary folder; the record holds numbers only.

Counts are apart for label maps that one label everywhere equals in 97 % of their pixels.

Outcomes of a program: "right"; "right, or" where others are named with it that no one can tell apart; "one of two";
"one label" where nothing is named and one label everywhere equals nearly all of what it wrote; "not named"; "wrong".
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import quantization
from PIL import Image

from benchmarks.slip_program import OTHER, OWN, Mistake, Program, mistakes, pairs
from benchmarks.suite import Measured
from fcn_deploy.data.options import DataOptions, open_unchecked, without_labels
from fcn_deploy.diagnosis.slips.explain import CutReference, open_reference
from fcn_deploy.diagnosis.slips.report import SAME, SlipReport
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.quantization.quantize import quantize

ORIENTATION = 0x0112
TURNED = 6  # the EXIF orientation of every second photo: to be turned by 90 degrees clockwise
SEED = 3
SQUARE = 16  # pixels


def measure(
    model: str,
    other: str,
    data: str,
    calib: str,
    frames: int,
    calibration: int,
    count: int,
    quantiser: str = "onnxruntime",
    seed: int = SEED,
) -> Measured:
    """Return a row for each program, and how many were named rightly, partly, wrongly or not at all.

    Args:
        model, other: checkpoints of the network and of the other one.
        data, calib: frames, and other ones for calibration.
        frames, calibration: how many of each.
        count: pairs of mistakes.
        quantiser: what makes the INT8 file, "onnxruntime" or "fcn-deploy".
        seed: of the pairs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, card = load_network(model)
        export_model(network, card, folder / "reference.onnx")
        export_model(network, card, folder / "float.onnx", input_kind="float", outputs=("labels", "logits"))
        another, other_card = load_network(other)
        export_model(another, other_card, folder / "other.onnx")
        export_model(another, other_card, folder / "otherfloat.onnx", input_kind="float", outputs=("labels", "logits"))
        photos, strange = write_photos(data, frames, folder)
        if quantiser == "fcn-deploy":
            own = DataOptions(calib, limit=calibration)
            quantize(folder / "float.onnx", folder / "int8.onnx", precision="int8", calibration=own)
        else:
            mean, std = (np.array(each, np.float32) for each in (card.mean, card.std))
            calibrated = [(x - mean) / std for x in images(calib, calibration)]
            quantised(folder / "float.onnx", folder / "int8.onnx", calibrated)
        program = Program({OWN: folder / "int8.onnx", OTHER: folder / "otherfloat.onnx"}, card.mean, card.std)
        found = mistakes(card.num_classes)
        wrong_programs: list[tuple[Mistake, ...]] = [*((one,) for one in found), *pairs(found, count, seed)]
        with open_reference(folder / "reference.onnx", [folder / "other.onnx"]) as reference:
            explain = Explainer(reference, photos, folder / "maps")
            rows = [explain.named(program, wrong) for wrong in wrong_programs]
            rows += explain.unexplained(program, strange)
    return rows, {"counts": dict(sorted(Counter(_counted(row) for row in rows).items()))}


def _counted(row: Mapping[str, Any]) -> str:
    """Return what a row counts as: maps of nearly one label, which show little, apart from the others."""
    flat = ", maps of one label" if row["programs"] != "no mistake" and row["one label"] >= SAME else ""
    return f"{row['programs']}{flat}: {row['outcome']}"


class Explainer:
    """Write label maps of photos, and have them explained."""

    def __init__(self, reference: CutReference, photos: Path, maps: Path) -> None:
        self._reference, self._photos, self._maps = reference, photos, maps
        maps.mkdir(exist_ok=True)

    def named(self, program: Program, wrong: Sequence[Mistake]) -> dict[str, Any]:
        """Return the row of a program with these mistakes."""
        found = self.report(lambda photo: program.label(photo, wrong))
        words = [mistake.words for mistake in wrong]
        programs = "one mistake" if len(wrong) == 1 else "two mistakes"
        return _row(programs, " and ".join(words), outcome_of(words, found), found)

    def unexplained(self, program: Program, strange: Path) -> Iterator[dict[str, Any]]:
        """Yield the rows of label maps that no mistake made."""
        generator = np.random.default_rng(SEED)
        others = iter(sorted(strange.iterdir()))
        cases: dict[str, Callable[[Path], NDArray[Any]]] = {
            "noise": lambda photo: noise(generator, photo, 1),
            "noise in squares": lambda photo: noise(generator, photo, SQUARE),
            "another network": lambda photo: program.label(photo, (Mistake("", "network"),)),
            "other images": lambda photo: program.label(next(others)),
        }
        alone = Explainer(replace(self._reference, others=()), self._photos, self._maps)
        for name, label in cases.items():
            found = alone.report(label)
            yield _row("no mistake", name, outcome_of(None, found), found)
        right = alone.report(program.label)
        yield _row("no mistake", "the right labels", outcome_of([], right), right)

    def report(self, label: Callable[[Path], NDArray[Any]]) -> SlipReport:
        for photo in sorted(self._photos.iterdir()):
            Image.fromarray(label(photo)).save(self._maps / photo.name)
        return self._reference.explain(self._maps, DataOptions(self._photos))


def noise(generator: np.random.Generator, photo: Path, side: int) -> NDArray[np.uint8]:
    """Return labels 0 to 7 of an image's size, each in a square of `side` pixels."""
    with Image.open(photo) as image:
        width, height = image.size
    squares = generator.integers(0, 8, (-(-height // side), -(-width // side)), np.uint8)
    return squares.repeat(side, 0).repeat(side, 1)[:height, :width]


def outcome_of(mistakes: Sequence[str] | None, found: SlipReport) -> str:
    """Return how a report names the mistakes of a program: [] for none, None for maps that no mistake explains."""
    if mistakes is None:
        return "not named" if found.verdict == "unexplained" else "wrong"
    if not mistakes:
        return "no slip" if found.verdict == "same" else "wrong"
    if found.verdict != "explained":
        return "one label" if found.one_label >= SAME else "not named"
    names = [found.tried[0].name, *found.alike]
    count = len(found.tried[0].fixes)
    seen = [[bool(re.search(re.escape(each) + "(?!, values in)", name)) for each in mistakes] for name in names]
    if count == len(mistakes) and any(all(each) for each in seen):
        return "right" if len(names) == 1 else "right, or"
    return "one of two" if count == 1 and any(any(each) for each in seen) else "wrong"


def _row(programs: str, name: str, outcome: str, found: SlipReport) -> dict[str, Any]:
    print(f"{outcome:9} {name} -> {found.explained_by or found.verdict}", file=sys.stderr, flush=True)
    return {
        "programs": programs,
        "mistakes": name,
        "outcome": outcome,
        "named": re.sub(r"\(/\S*/", "(", found.explained_by or found.verdict),  # without the temporary folder
        "share": found.tried[0].share,
        "next": found.tried[1].share,
        "as they are": found.as_they_are,
        "one label": found.one_label,
        "runs": found.runs,
    }


def images(source: str, count: int) -> list[NDArray[np.uint8]]:
    dataset = without_labels(open_unchecked(DataOptions(source, limit=count), None))
    return [dataset[index].image for index in range(len(dataset))]


def write_photos(source: str, count: int, folder: Path) -> tuple[Path, Path]:
    """Write every second of `2 * count` images, some with an EXIF orientation, and the ones between."""
    found = images(source, 2 * count)
    photos, strange = folder / "photos", folder / "strange"
    for path in (photos, strange):
        path.mkdir()
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    for index, image in enumerate(found[::2]):
        turned = index % 2 == 0
        stored = np.ascontiguousarray(np.rot90(image)) if turned else image
        Image.fromarray(stored).save(photos / f"{index:03}.png", exif=exif.tobytes() if turned else None)
    for index, image in enumerate(found[1::2]):
        Image.fromarray(image).save(strange / f"{index:03}.png")
    return photos, strange


def quantised(source: Path, target: Path, images: Sequence[NDArray[np.float32]]) -> None:
    """Write INT8 with ONNX Runtime's quantiser, calibrated on normalised images float32[H, W, 3]."""

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self._left, None)
            return (
                None if image is None else {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)}
            )

    quantization.quantize_static(str(source), str(target), Reader(), per_channel=True)
