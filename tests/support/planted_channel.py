"""The small FCN with a channel that 8 bits cannot hold next to the others, its scenes, and its INT8 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.report import QuantizeReport
from tests.support.small_fcn import images, small_weights, write_fcn


def planted_fcn(path: Path) -> Path:
    """One channel of relu2 is 300 times as large and conv3 reads a 300th of it: in FP32 nothing changes, and 8 bits of
    conv3's input keep nothing but that channel."""
    weights = small_weights()
    for name in ("conv2.weight", "conv2.bias"):
        weights[name][0] *= 300
    weights["conv3.weight"][:, 0] /= 300
    return write_fcn(path, weights)


def label_scenes(folder: Path, model: Path, count: int, widths: tuple[int, ...] = (46,)) -> None:
    """Write `count` images of these widths, in turn, and the labels that the file gives them: its mIoU is 100."""
    session = open_cpu_session(model)
    for name in ("photos", "maps"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        (image,) = images(1, (1, 34, widths[index % len(widths)]), seed=index)
        (labels,) = session.run(["labels"], {"image": image})
        Image.fromarray(image[0]).save(folder / "photos" / f"{index}.png")
        Image.fromarray(labels[0]).save(folder / "maps" / f"{index}.png")


def quantize_all(model: Path, out: Path, photos: str, **more: Any) -> QuantizeReport:
    """Quantise every layer, without equalising channels, which would undo the plant."""
    return quantize(
        model,
        out,
        precision="int8",
        calibration=photos,
        method="minmax",
        quantize_first=True,
        quantize_scores=True,
        equalize=False,
        **more,
    )
