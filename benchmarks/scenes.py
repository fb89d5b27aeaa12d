"""The suite `quantization` as anybody can run it again: the bundled demo network on generated scenes.

The scenes are other than those that it was trained on, and others again are for calibration and for training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quantization import Plan, measure_plan
from benchmarks.suite import Measured
from benchmarks.tuning import Tuning
from fcn_deploy.data.classes import FILE_NAME
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.data.writing import write_pairs
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import write_text

SEEDS = {"train": 1001, "val": 1002}  # the demo's own are 1 and 2


def measure(
    calibration: int,
    validation: int,
    training: str,
    epochs: int,
    crop: str,
    methods: Sequence[str],
    rounds: int,
    cores: int,
) -> Measured:
    """Return the rows of `quantization.measure` with these numbers of scenes.

    Args:
        training: the scenes of the training in INT8 arithmetic; "" leaves it out.
        others: as for `quantization.measure`.
    """
    with tempfile.TemporaryDirectory() as name, ModelSource("demo") as demo:
        folder = Path(name) / "scenes"
        for split, count in (("train", calibration), ("val", validation)):
            write_split(folder, split, count)
        source = Path(demo.file_for("onnxruntime"))
        tuned = Tuning(Path(demo.path), training, epochs, crop) if training else None
        return measure_plan(Plan(source, folder, calibration, 0, methods, tuned), rounds, cores)


def write_split(folder: Path, split: str, count: int) -> None:
    """Write `count` scenes below folder/split, their list folder/split.txt, and the class names."""
    listed = write_pairs(SyntheticDataset(count, SEEDS[split]), folder / split)
    pairs = (line.split() for line in listed.read_text().splitlines())
    write_text(folder / f"{split}.txt", "".join(f"{split}/{image} {split}/{label}\n" for image, label in pairs))
    write_text(folder / FILE_NAME, (folder / split / FILE_NAME).read_text())
