"""Check a rewritten file before it gets its name: it is valid ONNX, runs, and agrees with the FP32 file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError, first_line, one_line
from fcn_deploy.graph.cpu.bf16 import rounded_in_fp32
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.session import open_cpu_session, readable
from fcn_deploy.graph.sizes import fixed_dims, image_axes, image_input
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS

RUNNER = "onnxruntime"
MADE_UP = ((33, 47), (64, 96), (256, 384))


def check_rewritten(
    path: Path, source: Path, images: Sequence[NDArray[np.uint8]], progress: Progress = SILENT
) -> PixelShare | None:
    """Check the file with onnx's full check and a run in ONNX Runtime.

    Args:
        path: the rewritten file.
        source: the FP32 file that it was made from.
        images: uint8[N, H, W, 3] each; without any the file runs on one made-up image of a size that it takes.

    Returns:
        Pixels whose label is the FP32 file's; None without images.

    Raises:
        GraphError: the file is not valid, or ONNX Runtime cannot open it.
        RunnerError: it fails while running on one of `images`.
    """
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"the rewritten graph is not valid ONNX: {one_line(error)}") from error
    if not images:
        _run_on_made_up_image(path)
        return None
    # One after the other: two sessions of a full-width network would be the largest memory of all.
    with readable(source) as given:
        before, after = (_labels(file, images, progress) for file in (given, path))
    agreed = sum(int(np.count_nonzero(a == b)) for a, b in zip(before, after, strict=True))
    return PixelShare(agreed, sum(labels.size for labels in before))


def _run_on_made_up_image(path: Path) -> None:
    """Run the file at its own size where it has one, else at odd sides, else at those that more networks take.

    Whatever floats its input takes will do: nothing is compared.
    """
    model = load_graph(path)
    fixed, value, card = fixed_dims(model), image_input(model), find_card(model, path)
    with rounded_in_fp32(path) as file:
        session, divisor = (
            open_cpu_session(file, shown="the rewritten graph"),
            1 if card is None else card.image_divisor,
        )
    for shape in MADE_UP:
        n, h, w = (own or number for own, number in zip(fixed, (1, *(divisor * side for side in shape)), strict=True))
        image = random_image((n, h, w), 0)
        if image_axes(value) == (0, 2, 3):
            image = image.transpose(0, 3, 1, 2)
        try:
            session.run(None, {str(value.name): image.astype((value.dtype or ir.DataType.FLOAT).numpy())})
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            if shape == MADE_UP[-1]:
                raise GraphError(f"the rewritten graph does not run: {first_line(error)}") from error
        else:
            return


def _labels(path: Path, images: Sequence[NDArray[np.uint8]], progress: Progress) -> list[NDArray[np.generic]]:
    """Return the labels that ONNX Runtime gives of each image."""
    with open_runner(RUNNER, str(path)) as runner:
        return [runner.infer({INPUT: image})[LABELS] for image in track(progress, "checking", images, len(images))]
