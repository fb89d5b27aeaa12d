"""Prove an adopted file against the given one in ONNX Runtime, size by size; normalisation and resizing are NumPy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.adoption.read import ForeignNetwork
from fcn_deploy.adoption.score_meaning import ScoreMeaning
from fcn_deploy.card import ModelCard
from fcn_deploy.errors import ParityError
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.network_size import NetworkSize
from fcn_deploy.onnx_export.proof import RESIZED_PROOF_SHAPES, ShapeProof, compare, random_image
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import INPUT, LABELS, LOGITS, Shape, shape_text

# Of scores in FP16, whose last place is 5e-4 of the largest one.
HALF_TOLERANCE = 5e-3
# Share of the pixels that may differ where only labels can be compared, whose margins are unknown.
LABELS_TOLERANCE = 1e-3


def proof_shapes(found: ForeignNetwork) -> list[Shape]:
    """Return the sizes of the proof: odd ones, multiples of the divisor, or the only one; and a batch of two."""
    given, first = found.given, found.size
    if found.card.sizing is not None:
        return [given.port.bound_batch(shape) for shape in _resized_shapes(found.card.sizing, first)]
    if found.divisor is None:
        shapes = [first]
    elif found.divisor == 1:
        shapes = [*(given.port.bound(shape) for shape in given.odd), first]
    else:
        shapes = [*given.multiples(found.divisor), first]
    if given.port.fixed[0] is None:
        shapes.append((2, *first[1:]))
    return list(dict.fromkeys(shapes))


def _resized_shapes(sizing: NetworkSize, first: Shape) -> list[Shape]:
    """Return N, H, W of images that are smaller and larger than the network's size, with odd sides, and of two."""
    if (side := sizing.least_side) is not None:
        height, width = sizing.fixed or (side, side // 2)
        return [*RESIZED_PROOF_SHAPES, (1, height + 33, width + 17)]
    over, under = sizing.share(1)
    height, width = (side * under // over for side in first[1:])
    return [(1, height, width), (2, height + 1, width + 3), (1, 2 * height + 1, width + 5), (1, height, 2 * width + 1)]


def prove_adopted(
    path: Path, found: ForeignNetwork, tolerance: float, progress: Progress = SILENT
) -> tuple[ShapeProof, ...]:
    """Run `path`, which must have all its outputs, and the given file on the same images of each shape.

    Raises:
        ParityError: a shape failed; the message names the worst.
    """
    given, score, shapes = found.given, found.scores, proof_shapes(found)
    session = open_cpu_session(path)
    if score.dtype == "float16":
        tolerance = max(tolerance, HALF_TOLERANCE)
    ticks = []
    with progress.task("proving against the given file", len(shapes)) as task, interrupts() as check:
        for seed, shape in enumerate(shapes):
            image = random_image(shape, seed)
            scores = score.canonical(given.run(_fed(image, found.card))[score.name])
            expected = resized(scores, shape, nearest=score.is_labels)
            names = [out.name for out in session.get_outputs()]
            results = dict(zip(names, session.run(None, {INPUT: image}), strict=True))
            if score.is_labels:
                ticks.append(_compare_labels(shape, expected, results[LABELS]))
            else:
                pair = _as_given(results[LOGITS], expected, found.meaning)
                ticks.append(compare(shape, *pair, results[LABELS], tolerance))
            task.advance(note=shape_text(shape))
            check()
    failed = [tick for tick in ticks if not tick.passed]
    if failed:
        worst = max(failed, key=lambda tick: (tick.relative_difference, tick.labels_wrong))
        raise ParityError(
            f"the adopted graph differs from {given.path} at {len(failed)} of {len(ticks)} shapes, most at N, H, W = "
            f"{worst.shape}: scores by {worst.relative_difference:.2g} of the largest (tolerance {tolerance:g}), "
            f"{worst.labels_wrong} labels wrong; nothing was written",
            worst.relative_difference,
        )
    return tuple(ticks)


def _fed(image: NDArray[np.uint8], card: ModelCard) -> NDArray[Any]:
    """Return what the given file gets for uint8[N, H, W, 3]: of the network's size, where that is another."""
    if card.sizing is None:
        return image
    n, height, width, _ = image.shape
    shape = (n, *card.sizing.of((height, width), card.divisor))
    fed = resized(image.astype(np.float32).transpose(0, 3, 1, 2), shape, nearest=False)
    rows: NDArray[Any] = fed.transpose(0, 2, 3, 1)
    return rows


def _as_given(
    logits: NDArray[np.float32], scores: NDArray[np.float32], meaning: ScoreMeaning
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (given scores, the adopted file's in their terms), one channel as the threshold and itself."""
    if scores.shape[1] == 1:
        found = logits[:, 1:] - logits[:, :1] + np.float32(meaning.edge)
        edge = np.full_like(found, meaning.edge)
        if meaning.activation:
            found, edge = _sigmoid(found), np.full_like(found, meaning.threshold)
        return np.concatenate([edge, scores], 1), np.concatenate([edge, found], 1)
    if meaning.activation == "Sigmoid":
        return scores, _sigmoid(logits)
    if meaning.activation:
        shifted = logits - logits.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return scores, logs if meaning.activation == "LogSoftmax" else np.exp(logs)
    return scores, logits


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        result: NDArray[np.float32] = (1 / (1 + np.exp(-values))).astype(np.float32)
    return result


def _compare_labels(shape: Shape, expected: NDArray[Any], labels: NDArray[Any]) -> ShapeProof:
    if labels.shape != expected.shape:
        return ShapeProof(shape, float("inf"), labels.size, labels.size, False)
    differing = int((labels != expected).sum())
    return ShapeProof(shape, 0.0, differing, differing, differing <= LABELS_TOLERANCE * labels.size)


def resized(values: NDArray[Any], shape: Shape, *, nearest: bool) -> NDArray[Any]:
    """Return [..., h, w] resized to the sides of `shape`: pixel centres aligned by half, borders repeated."""
    if values.shape[-2:] == shape[1:]:
        return values
    for axis, wanted in ((-2, shape[1]), (-1, shape[2])):
        number = values.shape[axis]
        places = np.clip((np.arange(wanted) + 0.5) * number / wanted - 0.5, 0, number - 1)
        if nearest:
            values = values.take(np.ceil(places - 0.5).astype(np.int64), axis)
            continue
        low = np.floor(places).astype(np.int64)
        weight = (places - low).astype(np.float32)
        weight = weight[:, None] if axis == -2 else weight
        values = values.take(low, axis) * (1 - weight) + values.take(np.minimum(low + 1, number - 1), axis) * weight
    return values
