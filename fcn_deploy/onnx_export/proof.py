"""The proof of an export: ONNX Runtime against the PyTorch reference, shape by shape."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import ExportError, ParityError
from fcn_deploy.graph.confidence import FULL, confidence_of
from fcn_deploy.graph.cpu.budget import CAUTION
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.metrics.agreement import logit_margin
from fcn_deploy.network_size import NetworkSize
from fcn_deploy.system.formatting import count, duration
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.memory import free_bytes
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import CONFIDENCE, INPUT, LABELS, LOGITS, InputKind, Shape, shape_text

if TYPE_CHECKING:
    from fcn_deploy.contract import Contract

# N, H, W: 1-pixel images and sides, odd sides, N = 3, multiples of 32 and their neighbours, wide and tall.
PROOF_SHAPES = (
    (1, 1, 1), (1, 1, 47), (2, 33, 1), (3, 33, 47), (1, 32, 32), (2, 64, 96), (1, 63, 97), (1, 101, 157), (1, 129, 31),
)  # fmt: skip
# For a network that computes at a size of its own, every shape costs the same: images smaller than it by far.
RESIZED_PROOF_SHAPES = ((1, 1, 1), (1, 33, 1), (2, 63, 97), (1, 129, 31))
# Largest difference of a logit, as a share of the largest logit. Reordered float32 sums in VGG-16 differ by about
# 1e-6; a wrong crop, channel order or weight by more than 1e-2.
TOLERANCE = 1e-4
LONG_S = 60  # a proof of which more is left says so after its first shape


@dataclass(frozen=True)
class ShapeProof:
    """What one shape showed.

    Attributes:
        shape: N, H, W.
        relative_difference: max |onnx - pytorch| / max |pytorch| over all logits; infinite if shapes differ.
        labels_differing: pixels whose label differs.
        labels_wrong: those of them whose two best reference logits are further apart than rounding explains.
        passed: relative_difference is within the tolerance and labels_wrong is 0.
    """

    shape: Shape
    relative_difference: float
    labels_differing: int
    labels_wrong: int
    passed: bool


def proof_shapes(sizing: NetworkSize | None) -> tuple[Shape, ...]:
    """Return N, H, W of the proof of a network of this size: PROOF_SHAPES, or where the image's size changes little of
    the work, fewer, and one that is larger than the network's.
    """
    if sizing is None or (side := sizing.least_side) is None:
        return PROOF_SHAPES
    height, width = sizing.fixed or (side, side // 2)
    return (*RESIZED_PROOF_SHAPES, (1, height + 33, width + 17))


def fitting_shapes(reference: Contract, asked: Sequence[Shape] | None) -> Sequence[Shape]:
    """Return the shapes of a proof, `asked` or those of `proof_shapes`.

    Raises:
        ExportError: PyTorch's part of it, which is the larger, takes more memory than is free.
    """
    from fcn_deploy.models.memory import peak_bytes  # loads PyTorch, which adopting does without

    shapes = proof_shapes(reference.sizing) if asked is None else asked
    needed = round(CAUTION * max(peak_bytes(reference.logits, shape) for shape in shapes))
    free = free_bytes()
    if needed > free:
        at = f"a network size of {reference.sizing.text}" if reference.sizing else " and ".join(map(shape_text, shapes))
        raise ExportError(
            f"the proof at {at} takes about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} are free; give a "
            "smaller --network-size"
        )
    return shapes


def prove(
    path: Path,
    reference: Contract,
    *,
    input_kind: InputKind = "uint8",
    shapes: Sequence[Shape] = PROOF_SHAPES,
    tolerance: float = TOLERANCE,
    progress: Progress = SILENT,
) -> tuple[ShapeProof, ...]:
    """Run `path` and `reference` on the same random images of every shape.

    The file must have labels and logits, and may have confidence.

    Raises:
        ParityError: a shape failed; the message names it and the largest difference.
    """
    import torch

    session = open_cpu_session(path)
    names = [output.name for output in session.get_outputs()]
    ticks = []
    with progress.task("proving against PyTorch", len(shapes)) as task, interrupts() as check:
        started = time.perf_counter()
        for seed, shape in enumerate(shapes):
            image = random_image(shape, seed)
            with torch.inference_mode():
                expected = reference.logits(torch.from_numpy(image)).numpy()
            if not np.isfinite(expected).all():
                raise ParityError(
                    f"PyTorch's own logits are NaN or infinite at N, H, W = {shape}, so nothing can be proven; use a "
                    "sound checkpoint; nothing was written",
                    float("inf"),
                )
            found = dict(zip(names, session.run(names, input_feed(reference, image, input_kind)), strict=True))
            tick = compare(shape, expected, found[LOGITS], found[LABELS], tolerance)
            if CONFIDENCE in found and not same_confidence(expected, found[LOGITS], found[CONFIDENCE]):
                tick = replace(tick, passed=False)
            ticks.append(tick)
            task.advance(note=shape_text(shape))
            seconds = (time.perf_counter() - started) * (len(shapes) - 1)
            if seed == 0 and seconds >= LONG_S:
                progress.say(f"about {duration(seconds)} for the other {count(len(shapes) - 1, 'shape')} of the proof")
            check()
    failed = [tick for tick in ticks if not tick.passed]
    if failed:
        worst = max(failed, key=lambda tick: tick.relative_difference)
        raise ParityError(
            f"the exported graph differs from PyTorch at {len(failed)} of {len(ticks)} shapes, most at N, H, W = "
            f"{worst.shape}: logits by {worst.relative_difference:.2g} of the largest (tolerance {tolerance:g}), "
            f"{worst.labels_wrong} labels wrong; nothing was written",
            worst.relative_difference,
        )
    return tuple(ticks)


def random_image(shape: Shape, seed: int) -> NDArray[np.uint8]:
    """Return uint8[N, H, W, 3] of smooth gradients under noise, so that neither borders nor interiors are flat."""
    n, height, width = shape
    generator = np.random.default_rng(seed)
    ramp = np.linspace(0, 160, height)[:, None, None] * np.linspace(0.2, 1, width)[None, :, None]
    noise = generator.integers(0, 96, (n, height, width, 3))
    return (ramp * generator.random((n, 1, 1, 3)) + noise).astype(np.uint8)


def input_feed(reference: Contract, image: NDArray[np.uint8], input_kind: InputKind) -> dict[str, NDArray[np.generic]]:
    """Return what the exported graph takes for `image`: itself, or its normalised float32[N, 3, H, W]."""
    import torch

    if input_kind == "uint8":
        return {INPUT: image}
    return {INPUT: reference.normalise(torch.from_numpy(image)).numpy()}


def compare(
    shape: Shape,
    expected: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.integer],
    tolerance: float,
) -> ShapeProof:
    """Judge one shape's results: float32[N, C, H, W] logits of both sides and the graph's own labels [N, H, W]."""
    if logits.shape != expected.shape or labels.shape != shape:
        return ShapeProof(shape, float("inf"), labels.size, labels.size, False)
    scale = float(np.abs(expected).max()) or 1.0
    difference = float(np.abs(logits - expected).max())
    differing = labels != expected.argmax(1)
    # Two logits that each moved by `difference` can change places only if they were within twice of it.
    beyond_rounding = differing & (logit_margin(expected) > 2 * difference)
    relative = difference / scale if np.isfinite(difference) else float("inf")
    wrong = int(beyond_rounding.sum())
    return ShapeProof(shape, relative, int(differing.sum()), wrong, relative <= tolerance and wrong == 0)


def same_confidence(expected: NDArray[np.float32], logits: NDArray[np.float32], confidence: NDArray[np.uint8]) -> bool:
    """Return whether confidence is that of the reference's logits [N, C, H, W], but for rounding.

    Logits that each moved by d move the probability p of a label by at most 2 d p (1 - p), which is d / 2.
    """
    own = confidence_of(expected)
    if own.shape != confidence.shape:
        return False
    allowed = 1 + FULL * float(np.abs(logits - expected).max()) / 2
    return bool(np.abs(confidence.astype(np.int16) - own).max() <= allowed)
