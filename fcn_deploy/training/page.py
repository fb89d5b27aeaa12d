"""Write one page about a finished run: curves, the IoU of each class, and frames of the validation set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.contract import Contract
from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.sample import evenly_spaced
from fcn_deploy.errors import DataError
from fcn_deploy.models.checkpoints import load_checkpoint
from fcn_deploy.page.pictures import labels_uri, photo_uri
from fcn_deploy.page.svg import element, marker
from fcn_deploy.page.template import styles, template
from fcn_deploy.system.escape import visible
from fcn_deploy.system.files import write_text
from fcn_deploy.training.config import TrainConfig, command_line
from fcn_deploy.training.curves import SCORES, class_plot, curve_plots
from fcn_deploy.training.setup import RunInputs
from fcn_deploy.training.state import Position
from fcn_deploy.version import __version__

FRAMES = 6
WIDEST = 480  # pixels of a picture; a page shows it smaller


@dataclass(frozen=True)
class LabelledFrame:
    """One picture of the validation set, small: its name, photograph, and name and data URI of the labels over it."""

    name: str
    photo: str
    width: int
    height: int
    layers: tuple[tuple[str, str], ...]


def write_page(
    path: Path, checkpoint: Path, config: TrainConfig, position: Position, material: RunInputs, device: torch.device
) -> None:
    """Write the page of a run whose last epoch is done.

    Args:
        checkpoint: the best one, which labels the frames.

    Raises:
        OutputError: it cannot be written.
        CheckpointError: the checkpoint cannot be read.
    """
    best = next((record for record in position.history if record.epoch == position.best_epoch), position.history[-1])
    classes = material.val.classes
    bars = [] if best.per_class_iou is None else [class_plot(classes, best.per_class_iou)]
    model, card = load_checkpoint(checkpoint)
    frames = _frames(Contract(model, card).to(device).eval(), material.val, device)
    page = template(__package__ or "", "run.html").render(
        version=__version__,
        title=str(config.output),
        headline=_headline(config, position, material),
        styles=styles(),
        curves=curve_plots(position.history),
        series=[
            (element("svg", marker(7, 7, index), viewBox="0 0 14 14", aria_hidden="true"), name)
            for index, name in SCORES
        ],
        bars=bars,
        best_epoch=best.epoch,
        frames=frames,
        classes=[(name, f"rgb{tuple(colour)}") for name, colour in zip(classes, material.val.palette, strict=True)],
        command=command_line(config),
        next_commands=next_commands(checkpoint),
    )
    write_text(path, visible(page))


def next_commands(checkpoint: Path) -> list[str]:
    """Return what to do with a trained checkpoint."""
    return [
        f"fcn-deploy predict {checkpoint} IMAGES -o OUT --overlay",
        f"fcn-deploy export {checkpoint} -o {checkpoint.with_suffix('.onnx')}",
    ]


def _headline(config: TrainConfig, position: Position, material: RunInputs) -> list[str]:
    last = position.history[-1]
    best = (
        ""
        if position.best_mean_iou is None
        else (f"Best mIoU {position.best_mean_iou:.1%} at epoch {position.best_epoch} of {last.epoch}.")
    )
    minutes = sum(record.seconds for record in position.history) / 60
    start = "random weights" if config.init is None else config.init
    return [
        best,
        f"{config.model} from {start}: {len(material.train)} training images, {len(material.val)} validation images of "
        f"{material.val.name}, {position.step} steps, {minutes:.1f} minutes.",
    ]


def _frames(contract: Contract, dataset: Dataset, device: torch.device) -> list[LabelledFrame]:
    """Label some images of the validation set, spread over it; those that cannot be read are left out."""
    chosen, frames = evenly_spaced(dataset, FRAMES), []
    for index in range(len(chosen)):
        try:
            sample = chosen[index]
        except DataError:
            continue
        with torch.inference_mode():
            labels = contract(torch.from_numpy(sample.image)[None].to(device))[0].cpu().numpy()
        maps = [("prediction", labels), *([] if sample.label is None else [("ground truth", sample.label)])]
        factor = min(1.0, WIDEST / sample.image.shape[1])
        size = max(1, round(sample.image.shape[1] * factor)), max(1, round(sample.image.shape[0] * factor))
        photo = np.asarray(Image.fromarray(sample.image).resize(size, Image.Resampling.BOX))
        layers = [(name, labels_uri(_small(labels, size), dataset.palette)) for name, labels in reversed(maps)]
        frames.append(LabelledFrame(Path(sample.name).name, photo_uri(photo), *size, (("image", ""), *layers)))
    return frames


def _small(labels: NDArray[np.integer], size: Sequence[int]) -> NDArray[np.int32]:
    width, height = size
    resized = Image.fromarray(labels.astype(np.int32)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized, np.int32)
