"""Write a PyTorch model as a proven ONNX file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.card import CARD_KEY, ChannelOrder, ModelCard, Pixels
from fcn_deploy.contract import Contract
from fcn_deploy.errors import ExportError, GraphError, RecipeError, restated
from fcn_deploy.graph.confidence import with_formula
from fcn_deploy.graph.contract_io import graft_contract, keep_outputs
from fcn_deploy.graph.load import UNUSED_KEY, unnamed_target
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph, weights_bytes
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import entry
from fcn_deploy.network_size import network_size_text
from fcn_deploy.onnx_export.proof import TOLERANCE, ShapeProof, fitting_shapes, input_feed, prove, random_image
from fcn_deploy.onnx_export.trace import trace
from fcn_deploy.system.arguments import NotNegative, checked
from fcn_deploy.system.files import StrPath, atomic_path, resolved
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import CONFIDENCE, OUTPUTS, InputKind, Shape, file_outputs

if TYPE_CHECKING:
    from torch import nn

NARROWED_SHAPE = (3, 33, 47)
RESIZED_SHAPE = (1, 33, 47)  # where it costs as much as one of the network's size


@dataclass(frozen=True)
class ExportReport:
    """Hold what was written and what its proof showed.

    Attributes:
        path, data_path: the ONNX file, and its external data where the weights are too large for one file.
        ticks: the differences from PyTorch, one per shape of the proof.
        tolerance: the largest relative logit difference that passes.
        nodes, weights_bytes: size of the graph.
        seconds: wall time of trace, proof and writing together.
        card: classes, preprocessing and architecture, as the file holds them.
    """

    path: Path
    data_path: Path | None
    ticks: tuple[ShapeProof, ...]
    tolerance: float
    nodes: int
    weights_bytes: int
    seconds: float
    card: ModelCard

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        fields: dict[str, Any] = plain(self)
        return fields


@checked
def export(
    model: StrPath,
    output: StrPath | None = None,
    *,
    model_name: str | None = None,
    classes: Sequence[str] | None = None,
    checkpoint: StrPath | None = None,
    weights: str | None = None,
    mean: Pixels | None = None,
    std: Pixels | None = None,
    channel_order: ChannelOrder | None = None,
    network_size: str | None = None,
    input_kind: InputKind = "uint8",
    outputs: Sequence[str] = ("labels",),
    tolerance: NotNegative = TOLERANCE,
    progress: Progress = SILENT,
) -> ExportReport:
    """Write a model as ONNX (opset 17, dynamic N, H and W) and prove the file equal to PyTorch.

    Args:
        model: "demo", a checkpoint (.pth, .pt, .safetensors), a recipe (.toml) or an exported .onnx file.
        output: the file to write; None is the model's name with .onnx, in the current folder.
        model_name: the network that a checkpoint holds ("fcn8s", "fcn8s-caffe", ...); None reads it from the keys.
        classes: class names, index = label; None takes those of the model.
        checkpoint: the weights of a recipe, if they are not next to it.
        weights: which weights of a checkpoint: "model", "ema" (averaged) or their key in the file; None takes those of
            the recipe, else those that are not averaged.
        mean: subtracted from each channel, in units of 0 to 255, in the order of `channel_order`; None takes the
            model's own.
        std: divided into each channel after that, in the same units; None takes the model's own.
        channel_order: "RGB" or "BGR", as the network expects it; images are RGB for every user.
        network_size: the size at which the network computes, "512x1024", "longest:1024" (the longer side) or "0.5" (of
            both sides): images are resized to it in the graph and the logits back, so labels have the image's size;
            None takes the model's own, "1" is the image's.
        input_kind: "uint8" takes `image` uint8[N, H, W, 3] RGB, "float" float32[N, 3, H, W] already normalised.
        outputs: of "labels" uint8|int32[N, H, W], "confidence" uint8[N, H, W] (255 times the probability of the label)
            and "logits" float32[N, C, H, W]; confidence goes with one of the others.
        tolerance: the largest logit difference from PyTorch that passes, relative to the largest logit.

    Returns:
        The file, its size and what the proof showed at each of nine shapes; of five where the network has a fixed size
        or longest side.

    Raises:
        CheckpointError, GraphError, RecipeError: the model cannot be read.
        UnknownNameError: no such output or network.
        ShapeError: not a network size.
        ExportError: the network cannot be expressed in opset 17, or the network size is below its stride.
        ParityError: the proof failed; nothing is left behind.
        OutputError: the file cannot be written.

    Example:
        >>> import fcn_deploy
        >>> report = fcn_deploy.export("demo", "demo.onnx", outputs=["labels", "logits"])
        >>> report.path.exists(), len(report.ticks), report.card.model
        (True, 9, 'fcn8s')
    """
    source = os.fspath(model)
    network, card = load_network(
        source,
        model=model_name,
        classes=classes,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        weights=weights,
        progress=progress,
    )
    given: dict[str, Any] = {"mean": mean, "std": std, "channel_order": channel_order}
    with restated(ExportError, RecipeError):
        card = replace(card, **{name: value for name, value in given.items() if value is not None})
    card = with_network_size(card, card.network_size if network_size is None else network_size)
    return export_model(
        network,
        card,
        Path(output) if output else unnamed_target(f"{Path(source).stem}.onnx"),
        outputs=outputs,
        input_kind=input_kind,
        tolerance=tolerance,
        progress=progress,
    )


def export_model(
    model: nn.Module,
    card: ModelCard,
    target: Path,
    *,
    outputs: Sequence[str] = ("labels",),
    input_kind: InputKind = "uint8",
    shapes: Sequence[Shape] | None = None,
    tolerance: float = TOLERANCE,
    progress: Progress = SILENT,
) -> ExportReport:
    """Trace `model`, graft the contract, prove the file against PyTorch, and only then give it its name.

    Args:
        model: float32[N, 3, H, W] -> float32[N, C, H, W], on the CPU, in evaluation mode.
        outputs: as for `export`.
        shapes: N, H, W of the proof; None is `proof_shapes`.
        tolerance: see `proof.TOLERANCE`.

    Raises:
        UnknownNameError, ExportError, ParityError, OutputError: as for `export`.
    """
    started = time.perf_counter()
    wanted = file_outputs(outputs)
    _check_confidence(wanted, card)
    card = with_formula(card, wanted)
    reference = Contract(model, card)
    proven_at = fitting_shapes(reference, shapes)
    proven_outputs = tuple(name for name in OUTPUTS if name != CONFIDENCE or CONFIDENCE in wanted)
    with atomic_path(target) as temporary:
        with progress.task("tracing", None), interrupts():
            graph = trace(model)
            graft_contract(graph, card, input_kind, outputs=proven_outputs)
            _describe(graph, model, card)
            data_name = save_graph(graph, temporary)
        ticks = prove(
            temporary, reference, input_kind=input_kind, shapes=proven_at, tolerance=tolerance, progress=progress
        )
        if wanted != proven_outputs:
            feeds = input_feed(
                reference, random_image(NARROWED_SHAPE if card.sizing is None else RESIZED_SHAPE, seed=0), input_kind
            )
            proven = open_cpu_session(temporary).run(list(wanted), feeds)
            keep_outputs(graph, wanted)
            save_graph(graph, temporary)
            _check_narrowed(temporary, wanted, feeds, proven)
        nodes, weights = len(graph.graph), weights_bytes(graph)
    data_path = resolved(target).with_name(data_name) if data_name else None
    return ExportReport(target, data_path, ticks, tolerance, nodes, weights, time.perf_counter() - started, card)


def with_network_size(card: ModelCard, text: str) -> ModelCard:
    """Return the card with another network size.

    Raises:
        ShapeError: not a network size.
        ExportError: the coarsest scores would be less than one pixel.
    """
    sized = replace(card, network_size=network_size_text(text))
    side = None if sized.sizing is None else sized.sizing.least_side
    if side is not None and side < (stride := entry(card.model).stride):
        raise ExportError(
            f"a network size of {sized.network_size} is below the stride of {card.model}, {stride}; give sides of "
            f"{stride} or more"
        )
    return sized


def _check_confidence(outputs: tuple[str, ...], card: ModelCard) -> None:
    if CONFIDENCE in outputs and card.num_classes == 1:
        raise ExportError("with one class each pixel has a confidence of 1; leave confidence out of --outputs")


def _describe(graph: ir.Model, model: nn.Module, card: ModelCard) -> None:
    """Put the card into the metadata, drop the exporter's own."""
    from onnx_ir.passes import common

    common.ClearMetadataAndDocStringPass()(graph)
    names = set(graph.graph.initializers)
    unused = sorted(key for key in model.state_dict() if key not in names)
    graph.metadata_props.clear()
    graph.metadata_props.update({CARD_KEY: card.to_json(), UNUSED_KEY: json.dumps(unused)})
    graph.producer_name, graph.producer_version = "fcn-deploy", __version__
    graph.graph.name = card.model


def _check_narrowed(
    path: Path, wanted: tuple[str, ...], feeds: dict[str, NDArray[np.generic]], proven: list[NDArray[np.generic]]
) -> None:
    """Check that the final file has the requested outputs and gives, to the bit, what the proven one gave."""
    session = open_cpu_session(path)
    names = tuple(output.name for output in session.get_outputs())
    same = names == wanted and all(map(np.array_equal, session.run(None, feeds), proven))
    if not same:
        raise GraphError(f"the file with outputs {names} gives other results than the proven one; nothing was written")
