"""Give an ONNX file of another tool our contract and a model card, and prove it equal to the given file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import onnx_ir as ir

from fcn_deploy.adoption.classes import card_classes
from fcn_deploy.adoption.foreign import load_foreign
from fcn_deploy.adoption.given_file import GivenFile
from fcn_deploy.adoption.graft import graft
from fcn_deploy.adoption.image_port import ImagePort, image_ports
from fcn_deploy.adoption.normalisation import Preprocessing, settle_normalisation
from fcn_deploy.adoption.proof import proof_shapes, prove_adopted
from fcn_deploy.adoption.score_meaning import ScoreMeaning, score_meaning
from fcn_deploy.adoption.score_port import ScorePort, choose_score_port
from fcn_deploy.card import CARD_KEY, FOREIGN, ChannelOrder, ModelCard, Triple
from fcn_deploy.errors import GraphError, UnknownNameError
from fcn_deploy.graph.contract_io import keep_outputs
from fcn_deploy.graph.weights import save_graph, weights_bytes
from fcn_deploy.model_file import kind_of, require_file
from fcn_deploy.onnx_export.proof import TOLERANCE, ShapeProof
from fcn_deploy.system.arguments import NotNegative, checked
from fcn_deploy.system.decode import at_least
from fcn_deploy.system.files import StrPath, atomic_path, check_writable, sha256
from fcn_deploy.system.plain import plain
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import OUTPUTS, Shape

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
        fields: dict[str, Any] = plain(replace(self, image=replace(self.image, dtype=self.image.dtype)))
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
        threshold: the probability from which on a pixel is of the class of a network with one channel.
        scores: the name of the output to make labels of; None chooses.
        outputs: "labels" uint8|int32[N, H, W], "logits" float32[N, C, H, W], or both.
        tolerance: the largest score difference from the given file that passes, relative to the largest score.

    Returns:
        The file, how the given one was read, the sizes that it takes and what the proof showed at each.

    Raises:
        GraphError: it is no segmentation network that can be adopted, or how to normalise is not known.
        UnknownNameError: no such output.
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
    target = Path(output or f"{path.stem}{SUFFIX}")
    if target.resolve() == path.resolve():
        raise GraphError(f"{target} is the given file itself, which is the reference; give another file (-o)")
    check_writable(target)
    wanted = _checked_outputs(outputs)
    if not 0 < threshold < 1:
        raise GraphError(f"the threshold is {threshold:g}; expected a probability between 0 and 1, neither of them")
    said = Preprocessing(mean, std, scale, channel_order, no_normalisation)
    with progress.task(f"reading {path.name}", None):
        graph = load_foreign(path)
        given, size, results = _first_run(path, graph, said)
        score, size = _choose(given, size, results, scores)
        meaning = score_meaning(graph, score, threshold)
        divisor = given.divisor(score)
        card = _card(path, given, score, classes, graph, divisor)
    if "logits" in wanted and score.is_labels:
        raise GraphError(f"{path} gives labels alone; leave logits out of --outputs")
    with atomic_path(target) as temporary:
        graft(graph, given.port, score, meaning, card)
        _describe(graph, card)
        data_name = save_graph(graph, temporary)
        shapes = proof_shapes(given, divisor, size)
        ticks = prove_adopted(temporary, given, score, meaning, shapes, tolerance, progress)
        if not score.is_labels and wanted != OUTPUTS:
            keep_outputs(graph, wanted)
            save_graph(graph, temporary)
        nodes, weights = len(graph.graph), weights_bytes(graph)
    data_path = target.resolve().with_name(data_name) if data_name else None
    seconds = time.perf_counter() - started
    return AdoptReport(
        target, data_path, path, given.port, score, meaning, ticks, divisor, size, tolerance, nodes, weights, seconds,
        card,
    )  # fmt: skip


def _checked_outputs(outputs: Sequence[str]) -> tuple[str, ...]:
    for name in outputs:
        if name not in OUTPUTS:
            raise UnknownNameError.of("output", name, OUTPUTS)
    return tuple(name for name in OUTPUTS if name in outputs) or ("labels",)


def _first_run(path: Path, graph: ir.Model, said: Preprocessing) -> tuple[GivenFile, Shape, dict[str, Any]]:
    """Open the given file in the layout in which it runs; the file, the size and its outputs."""
    trouble: GraphError | None = None
    for port in image_ports(graph, path):
        mean, std = settle_normalisation(path, graph, port, said)
        card = ModelCard(FOREIGN, ("?",), mean=mean, std=std, channel_order=said.channel_order)
        given = GivenFile(path, port, card)
        try:
            return given, *given.first_run()
        except GraphError as error:
            trouble = trouble or error
    assert trouble is not None
    raise trouble


def _choose(given: GivenFile, size: Shape, results: dict[str, Any], asked: str | None) -> tuple[ScorePort, Shape]:
    """Return the output to make labels of and the size at which it fits: `size`, or one that the file has stored."""
    last = given.port.channels == 3
    try:
        return choose_score_port(given.path, results, size, last, asked), size
    except GraphError as error:
        own = given.at_own_size(results)
        if own is not None:
            with suppress(GraphError):
                return choose_score_port(given.path, own[1], own[0], last, asked), own[0]
        raise error


def _card(
    path: Path, given: GivenFile, score: ScorePort, classes: Sequence[str] | None, graph: ir.Model, divisor: int | None
) -> ModelCard:
    names, notes = card_classes(path, graph, score, classes)
    source = {"adopted from": path.name, "adopted from SHA-256": sha256(path)}
    given_card = given.card
    return ModelCard(
        FOREIGN, names, mean=given_card.mean, std=given_card.std, channel_order=given_card.channel_order,
        notes=source | notes, divisor=divisor or 1,
    )  # fmt: skip


def _describe(graph: ir.Model, card: ModelCard) -> None:
    from onnx_ir.passes import common

    common.ClearMetadataAndDocStringPass()(graph)
    graph.metadata_props.clear()
    graph.metadata_props[CARD_KEY] = card.to_json()
    graph.producer_name, graph.producer_version = "fcn-deploy", __version__
