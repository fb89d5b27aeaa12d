"""The accuracy of FP16 and INT8 that anybody can measure again: the bundled demo network on generated scenes.

The scenes are other than those that it was trained on, and others again are for calibration.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import quantization
from benchmarks.suite import Measured
from fcn_deploy.data.classes import FILE_NAME
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.data.writing import write_pairs
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import write_text

SEEDS = {"train": 1001, "val": 1002}  # the demo's own are 1 and 2


def measure(calibration: int, validation: int) -> Measured:
    """Return the rows of `quantization.measure` with these numbers of scenes."""
    with tempfile.TemporaryDirectory() as name, ModelSource("demo") as demo:
        folder = Path(name) / "scenes"
        for split, count in (("train", calibration), ("val", validation)):
            write_split(folder, split, count)
        return quantization.measure(demo.file_for("onnxruntime"), str(folder))


def write_split(folder: Path, split: str, count: int) -> None:
    """Write `count` scenes below folder/split, their list folder/split.txt, and the class names."""
    listed = write_pairs(SyntheticDataset(count, SEEDS[split]), folder / split)
    pairs = (line.split() for line in listed.read_text().splitlines())
    write_text(folder / f"{split}.txt", "".join(f"{split}/{image} {split}/{label}\n" for image, label in pairs))
    write_text(folder / FILE_NAME, (folder / split / FILE_NAME).read_text())
