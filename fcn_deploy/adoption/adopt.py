"""Give an ONNX file of another tool our contract and a model card, and prove it equal to the given file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import onnx_ir as ir

from fcn_deploy.adoption.graft import graft
from fcn_deploy.adoption.image_port import ImagePort
from fcn_deploy.adoption.normalisation import Preprocessing
from fcn_deploy.adoption.proof import prove_adopted
from fcn_deploy.adoption.read import read_given
from fcn_deploy.adoption.score_meaning import ScoreMeaning
from fcn_deploy.adoption.score_port import ScorePort
from fcn_deploy.card import CARD_KEY, ChannelOrder, ModelCard, Triple
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.confidence import with_formula
from fcn_deploy.graph.contract_io import keep_outputs
from fcn_deploy.graph.load import unnamed_target
from fcn_deploy.graph.weights import save_graph, weights_bytes
from fcn_deploy.model_file import kind_of, require_file
from fcn_deploy.network_size import network_size_text
from fcn_deploy.onnx_export.proof import TOLERANCE, ShapeProof
from fcn_deploy.system.arguments import NotNegative, checked
from fcn_deploy.system.files import StrPath, atomic_path, check_writable, resolved
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import at_least
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import CONFIDENCE, LABELS, OUTPUTS, Shape, Size, file_outputs

SUFFIX = ".fcn.onnx"
Probability = Annotated[float, at_least(0, 1, noun="a number")]


@dataclass(frozen=True)
class AdoptReport:
    """Hold what was written, how the given file was read, and what its proof showed.

    Attributes:
        path, data_path: the ONNX file, and its external data where the weights are too large for one file.
        source: the given file.
        image: its input; scores: the output that labels are made of; meaning: what its numbers are.
        ticks: the differences from the given file, one per shape of the proof.
        divisor: sides of images must be multiples of it, 1 for any; None where only `size` runs.
        size: N, H and W that the given file ran first.
        tolerance: the largest relative difference of a score that passes.
        card: classes and preprocessing, as the file holds them.
    """

    path: Path
    data_path: Path | None
    source: Path
    image: ImagePort
    scores: ScorePort
    meaning: ScoreMeaning
    ticks: tuple[ShapeProof, ...]
    divisor: int | None
    size: Shape
    tolerance: float
    nodes: int
    weights_bytes: int
    seconds: float
    card: ModelCard

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        fields: dict[str, Any] = plain(self)
        fields["image"]["dtype"] = self.image.dtype.name
        return fields


@checked
def adopt(
    model: StrPath,
    output: StrPath | None = None,
    *,
    mean: Triple | None = None,
    std: Triple | None = None,
    scale: float | None = None,
    channel_order: ChannelOrder = "RGB",
    no_normalisation: bool = False,
    classes: Sequence[str] | None = None,
    threshold: Probability = 0.5,
    scores: str | None = None,
    size: Size | None = None,
    network_size: str | None = None,
    outputs: Sequence[str] = ("labels",),
    tolerance: NotNegative = TOLERANCE,
    progress: Progress = SILENT,
) -> AdoptReport:
    """Give a segmentation ONNX file of another tool a uint8 image in, labels out and a model card, with a proof.

    Args:
        model: an .onnx file with one float32, float16 or uint8 image batch in, and logits, probabilities or labels out.
        output: the file to write; None is the model's name with .fcn.onnx, in the current folder.
        mean: of the three channels, in `channel_order`, of the image in 0..255 divided by `scale`.
        std: the standard deviation in the same units.
        scale: 255 for a network of images in 0..1; None is 1.
        channel_order: the order that the network expects, "RGB" or "BGR".
        no_normalisation: whether the graph takes images of 0..255 and normalises them itself.
        classes: class names, index = label; for a network with one channel the name of its class.
        threshold: the probability above which a pixel is of the class of a network with one channel.
        scores: the name of the output to make labels of; None chooses.
        size: (H, W) of an image that the network takes; None tries the usual ones.
        network_size: the size at which the network computes, as for `export`: the graph resizes images of any size to
            it, sides rounded to the multiples that the network takes, and the scores to the image's size.
        outputs: of "labels" uint8|int32[N, H, W], "confidence" uint8[N, H, W] and "logits" float32[N, C, H, W].
        tolerance: the largest score difference from the given file that passes, relative to the largest score.

    Returns:
        The file, how the given one was read, the sizes that it takes and what the proof showed at each.

    Raises:
        GraphError: it is no segmentation network that can be adopted, or how to normalise is not known.
        UnknownNameError: no such output.
        ShapeError: not a network size.
        RecipeError: class names that are empty or given twice.
        ParityError: the proof failed; nothing is left behind.
        OutputError: the file cannot be written.

    Example:
        >>> import fcn_deploy
        >>> report = fcn_deploy.adopt("unet.onnx", mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
        >>> report.card.model, report.divisor
        ('foreign', 1)
    """
    started = time.perf_counter()
    path = Path(model)
    require_file(path)
    if kind_of(path) != "onnx":
        raise GraphError(f"{path} is no ONNX file; adopt takes those of other tools, export takes checkpoints")
    target = Path(output) if output else unnamed_target(f"{path.stem}{SUFFIX}")
    if resolved(target) == resolved(path):
        raise GraphError(f"{target} is the given file itself, which is the reference; give another file (-o)")
    check_writable(target)
    wanted = file_outputs(outputs)
    if not 0 < threshold < 1:
        raise GraphError(f"the threshold is {threshold:g}; expected a probability between 0 and 1, neither of them")
    sized = "" if network_size is None else network_size_text(network_size)
    said = Preprocessing(mean, std, scale, channel_order, no_normalisation)
    with progress.task(f"reading {path.name}", None):
        found = read_given(
            path, said, classes=classes, threshold=threshold, asked=scores, size=size, network_size=sized
        )
    if found.scores.is_labels and wanted != (LABELS,):
        raise GraphError(f"{path} gives labels alone; leave {wanted[-1]} out of --outputs")
    if found.meaning.kept and CONFIDENCE in wanted:
        raise GraphError(
            f"{path} gives probabilities ({found.meaning.kept}) that are resized, and confidence is made of logits; "
            "export it without the last node, or leave confidence out of --outputs"
        )
    made = tuple(name for name in OUTPUTS if name != CONFIDENCE or CONFIDENCE in wanted)
    graph, card = found.graph, with_formula(found.card, wanted)
    with atomic_path(target) as temporary:
        port, sure = found.given.port, CONFIDENCE in wanted
        graft(graph, port, found.scores, found.meaning, found.card, confidence=sure)
        _describe(graph, card)
        data_name = save_graph(graph, temporary)
        ticks = prove_adopted(temporary, found, tolerance, progress)
        if not found.scores.is_labels and wanted != made:
            keep_outputs(graph, wanted)
            save_graph(graph, temporary)
        nodes, weights = len(graph.graph), weights_bytes(graph)
    return AdoptReport(
        path=target,
        data_path=resolved(target).with_name(data_name) if data_name else None,
        source=path,
        image=found.given.port,
        scores=found.scores,
        meaning=found.meaning,
        ticks=ticks,
        divisor=found.divisor,
        size=found.size,
        tolerance=tolerance,
        nodes=nodes,
        weights_bytes=weights,
        seconds=time.perf_counter() - started,
        card=card,
    )


def _describe(graph: ir.Model, card: ModelCard) -> None:
    from onnx_ir.passes import common

    common.ClearMetadataAndDocStringPass()(graph)
    graph.metadata_props.clear()
    graph.metadata_props[CARD_KEY] = card.to_json()
    graph.producer_name, graph.producer_version = "fcn-deploy", __version__
