"""INT8 files of networks trained in INT8 arithmetic, next to the same training without it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.data.options import DataOptions
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export.export import export
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.training.loop import train
from fcn_deploy.vocabulary import Target

TARGETS: tuple[Target, ...] = ("cpu", "tensorrt")
TRAINED = "FP32, trained as long"
APART = "0.02"  # of the training set: `train` scores on it, and nothing is chosen by that score
SHARED: dict[str, Any] = {"device": "cpu", "batch": 4, "lr": 0.001}


@dataclass(frozen=True)
class Tuning:
    """A short training of a trained network.

    Attributes:
        checkpoint: the network.
        data: the labelled images that it is trained on.
        epochs, crop: passes over them, and "HxW" of the training crops.
    """

    checkpoint: Path
    data: str
    epochs: int
    crop: str

    @property
    def facts(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "crop": self.crop, **SHARED}


def tuned_files(tuning: Tuning, calibration: DataOptions, folder: Path) -> dict[str, Path]:
    """Return name -> file: the last epoch of each training, so that no image that is scored chooses one.

    Training alone may help or harm; "FP32, trained as long" and its INT8 show what it does without 8 bits.
    """
    fp32 = folder / "trained.onnx"
    export(_trained(tuning, folder / "fp32"), fp32)
    files = {TRAINED: fp32}
    for target in TARGETS:
        path = folder / f"trained.{target}.onnx"
        quantize(fp32, path, precision="int8", target=target, calibration=calibration, equalize=False)
        files[f"INT8, {target}, of that"] = path
        files[f"INT8, {target}, trained in INT8"] = _trained_in_int8(tuning, calibration, target, folder)
    return files


def _trained(tuning: Tuning, output: Path, **more: Any) -> Path:
    """Train, and return the checkpoint of the last epoch, the one epoch that is scored."""
    height, width = (int(side) for side in tuning.crop.split("x"))
    card = load_network(str(tuning.checkpoint))[1]
    settings = {**SHARED, "epochs": tuning.epochs, "eval_every": tuning.epochs, "crop": (height, width), **more}
    network: dict[str, Any] = {"model": card.model, **card.options}
    found = train(output=output, data=tuning.data, val=APART, init=tuning.checkpoint, **settings, **network)
    return found.last if found.int8 is None else found.int8


def _trained_in_int8(tuning: Tuning, calibration: DataOptions, target: Target, folder: Path) -> Path:
    recipe = folder / f"{target}.toml"
    values = {"calibration": str(calibration.source), "target": target, "max_images": calibration.limit}
    recipe.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return _trained(tuning, folder / target, quantize=recipe)
