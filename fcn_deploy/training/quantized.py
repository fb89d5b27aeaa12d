"""Prepare a run for INT8, and write the INT8 file at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import TrainingError
from fcn_deploy.model_file import kind_of
from fcn_deploy.models.checkpoints import load_checkpoint
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.quantization.plan import QuantizationPlan, plan_quantization, write_planned
from fcn_deploy.quantization.recipe import load_quantize_recipe
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.training.fake_quantize import fake_quantize

PLAN, INT8_FILE = "quantization.json", "best.int8.onnx"
# A trained network is tuned, not trained: in place of the defaults of `TrainConfig`.
SETTINGS = {"epochs": 5, "lr": 0.001}


def tuned_settings(fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a run with `quantize` has unless it is given: its settings, and the options of the network.

    Raises:
        TrainingError: there is no trained network of ours to start from.
        RecipeError, CheckpointError: the recipe or the checkpoint cannot be read.
    """
    init = fields.get("init")
    if init is None:
        raise TrainingError("--quantize tunes a trained network; give its checkpoint (--init)")
    load_quantize_recipe(Path(fields["quantize"]))
    if kind_of(init) in ("onnx", "engine"):
        raise TrainingError(
            f"--quantize trains the PyTorch network of a checkpoint, and {init} is none; give the checkpoint that it "
            "was exported from (a network adopted from another tool cannot be trained)"
        )
    card = load_network(init)[1]
    return {**SETTINGS, "model": card.model}, dict(card.options)


def planned(network: nn.Module, card: ModelCard, recipe: Path, progress: Progress = SILENT) -> QuantizationPlan:
    """Decide how the trained `network` is quantised, with ranges measured on the recipe's calibration images.

    Raises:
        RecipeError, DataError, GraphError, ExportError: the network cannot be quantised so.
    """
    with scratch_folder() as folder:
        exported = Path(folder, "fp32.onnx")
        export_model(network.eval(), card, exported, progress=progress)
        return plan_quantization(exported, load_quantize_recipe(recipe), progress)


def quantise(network: nn.Module, plan: QuantizationPlan) -> None:
    """Let `network` compute as its INT8 file will, in place."""
    fake_quantize(network, plan.layers, plan.recipe.target)


def write_int8(folder: Path, checkpoint: Path, progress: Progress = SILENT) -> Path:
    """Export the checkpoint and rewrite it with the run's ranges; returns the INT8 file in `folder`.

    Raises:
        CheckpointError, ExportError, GraphError, DataError, OutputError: it cannot be written.
    """
    plan, target = QuantizationPlan.load(folder / PLAN), folder / INT8_FILE
    network, card = load_checkpoint(checkpoint)
    with scratch_folder() as temporary:
        exported = Path(temporary, "fp32.onnx")
        export_model(network, card, exported, progress=progress)
        write_planned(plan, exported, target, checkpoint, progress)
    return target
