"""Read all that adopt needs of a given file: its graph, how it runs, and what its scores mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.adoption.classes import card_classes
from fcn_deploy.adoption.foreign import load_foreign
from fcn_deploy.adoption.given_file import GivenFile
from fcn_deploy.adoption.image_port import ImagePort, image_ports
from fcn_deploy.adoption.normalisation import Preprocessing, settle_normalisation
from fcn_deploy.adoption.score_meaning import ScoreMeaning, score_meaning
from fcn_deploy.adoption.score_port import ScorePort, choose_score_port
from fcn_deploy.card import FOREIGN, ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import Shape, Size, shape_text

Results = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ForeignNetwork:
    """A given file and what was found of it.

    Attributes:
        graph: as `load_foreign` reads it.
        given: the file in ONNX Runtime.
        scores: the output that labels are made of; meaning: what its numbers are.
        divisor: sides of images must be multiples of it, 1 for any; None where only `size` runs.
        size: N, H and W that ran first.
        card: of the adopted file.
    """

    graph: ir.Model
    given: GivenFile
    scores: ScorePort
    meaning: ScoreMeaning
    divisor: int | None
    size: Shape
    card: ModelCard


def read_given(
    path: Path,
    said: Preprocessing,
    *,
    classes: Sequence[str] | None,
    threshold: float,
    asked: str | None,
    size: Size | None,
    network_size: str,
) -> ForeignNetwork:
    """Read and run the file; arguments and errors as for `adopt`.

    `asked` is the output that the user wants, `network_size` is as a card has it.
    """
    graph = load_foreign(path)
    given, first, results = _first_run(path, graph, said, size)
    scores, first = _choose(given, first, results, asked)
    divisor = given.divisor(scores)
    given.fix(scores, first, sides=divisor is None)
    names, notes = card_classes(path, graph, scores, classes, first)
    card = ModelCard(
        FOREIGN,
        names,
        mean=given.card.mean,
        std=given.card.std,
        channel_order=said.channel_order,
        notes={"adopted from": path.name, "adopted from SHA-256": sha256(path), **notes},
        divisor=divisor or 1,
        network_size=network_size,
    )
    check_network_size(path, given.port, card, first if divisor is None else None)
    resized = scores.scale > 1 or card.sizing is not None
    meaning = score_meaning(graph, scores, threshold, resized=resized)
    return ForeignNetwork(graph, given, scores, meaning, divisor, first, card)


def check_network_size(path: Path, port: ImagePort, card: ModelCard, only: Shape | None) -> None:
    """Raise GraphError for a network size that the given file does not take; `only`: the one that it takes."""
    sizing = card.sizing
    if sizing is None:
        return
    if port.is_raw:
        raise GraphError(
            f"{path} takes bytes, and a resized image has fractions; export it with a float input for --network-size"
        )
    if only is not None and sizing.fixed != only[1:]:
        alone = shape_text(only[1:])
        raise GraphError(
            f"{path} takes {alone} alone, not a network size of {sizing.text}; give --network-size {alone}"
        )
    if sizing.fixed is not None and any(side % card.divisor for side in sizing.fixed):
        raise GraphError(
            f"{path} takes sides that are multiples of {card.divisor}, not a network size of {sizing.text}; give such "
            "sides"
        )


def _first_run(path: Path, graph: ir.Model, said: Preprocessing, size: Size | None) -> tuple[GivenFile, Shape, Results]:
    """Open the given file in the layout in which it runs; the file, the size and its outputs."""
    trouble: GraphError | None = None
    for port in image_ports(graph, path):
        mean, std = settle_normalisation(path, graph, port, said)
        card = ModelCard(FOREIGN, ("?",), mean=mean, std=std, channel_order=said.channel_order)
        given = GivenFile(path, port, card)
        try:
            return given, *given.first_run(size)
        except GraphError as error:
            trouble = trouble or error
    assert trouble is not None
    raise trouble


def _choose(given: GivenFile, size: Shape, results: Results, asked: str | None) -> tuple[ScorePort, Shape]:
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
