"""fcn-deploy: take a fully convolutional segmentation network out of PyTorch and prove it unharmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fcn_deploy.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from fcn_deploy.prediction.model import Model

__all__ = ["__version__", "load"]


def load(
    source: str | Path,
    *,
    runner: str | None = None,
    model: str | None = None,
    threads: int | None = None,
    batch: int = 1,
) -> Model:
    """Open an engine, an .onnx file, a checkpoint or "demo" as a function: `load("x.onnx")(image)` gives labels.

    See `fcn_deploy.prediction.model`: `load` for the arguments and errors, `Model` for what it takes and gives.
    """
    from fcn_deploy.prediction import model as predict_model

    return predict_model.load(source, runner=runner, model=model, threads=threads, batch=batch)
