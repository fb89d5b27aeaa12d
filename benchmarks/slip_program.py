"""A program around a network as users write it, in NumPy, Pillow and ONNX Runtime, with mistakes put into it.

It shares no code with what `diagnose` tries: it decodes, resizes, turns and normalises by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps

Array = NDArray[Any]
STAGES = ("file", "geometry", "jpeg", "size", "channels", "values", "network", "scores", "ids", "place", "writing")
OWN, OTHER = "own", "other"  # the files
NEAREST, BILINEAR = Image.Resampling.NEAREST, Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        words: what the name of the slip must have in it.
        stage: one of `STAGES`.
        step: what the program does there; None for the stages "file" and "network".
    """

    words: str
    stage: str
    step: Callable[..., Array] | None = None


class Program:
    """What a user writes around a network that takes normalised float32[1, 3, H, W] and gives logits.

    Args:
        files: the file that it runs (`OWN`), and the one that it may run instead (`OTHER`).
        mean, std: of RGB in 0..255.
    """

    def __init__(self, files: Mapping[str, Path], mean: Sequence[float], std: Sequence[float]) -> None:
        self._sessions = {
            name: onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            for name, path in files.items()
        }
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)

    def label(self, photo: Path, mistakes: Sequence[Mistake] = ()) -> Array:
        """Return uint8[h, w]."""
        steps = {mistake.stage: mistake.step for mistake in mistakes}
        with Image.open(photo) as opened:
            image = np.array(opened if "file" in steps else ImageOps.exif_transpose(opened))
        for stage in ("geometry", "jpeg"):
            image = self._step(steps, stage, image)
        height, width = image.shape[:2]
        for stage in ("size", "channels"):
            image = self._step(steps, stage, image)
        values = steps.get("values") or (lambda x, mean, std: (x - mean) / std)
        x = values(image.astype(np.float32), self.mean, self.std).transpose(2, 0, 1)[None]
        session = self._sessions[OTHER if "network" in steps else OWN]
        feeds = {session.get_inputs()[0].name: np.ascontiguousarray(x, np.float32)}
        logits = session.run(["logits"], feeds)[0][0]
        scores = steps.get("scores")
        labels = (logits.argmax(0) if scores is None else scores(logits)).astype(np.uint8)
        if "size" in steps:
            labels = resized(labels, height, width, NEAREST)
        for stage in ("ids", "place", "writing"):
            labels = self._step(steps, stage, labels)
        return np.ascontiguousarray(labels)

    @staticmethod
    def _step(steps: Mapping[str, Callable[..., Array] | None], stage: str, array: Array) -> Array:
        step = steps.get(stage)
        return array if step is None else step(array)


def resized(image: Array, height: int, width: int, how: Image.Resampling) -> Array:
    return np.array(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), how))


def linear(image: Array, height: int, width: int) -> Array:
    """As OpenCV's INTER_LINEAR: four neighbours, half-pixel centres, no filter."""
    rows = np.clip((np.arange(height) + 0.5) * image.shape[0] / height - 0.5, 0, image.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * image.shape[1] / width - 0.5, 0, image.shape[1] - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    down, across = (rows - top)[:, None, None], (columns - left)[None, :, None]
    wide = image.astype(np.float64)
    upper = wide[top][:, left] * (1 - across) + wide[top][:, right] * across
    lower = wide[below][:, left] * (1 - across) + wide[below][:, right] * across
    return np.asarray(np.rint(upper * (1 - down) + lower * down), np.uint8)


def area(image: Array) -> Array:
    """Half the size, each pixel the mean of four."""
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2].astype(np.float32)
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3)
    return np.asarray(np.rint(blocks.mean((1, 3))), np.uint8)


def in_square(image: Array, colour: int, side: int | None = None) -> Array:
    """Fit the image into the middle of a square."""
    height, width = image.shape[:2]
    length = side or max(height, width)
    ratio = length / max(height, width)
    if ratio != 1:
        height, width = round(height * ratio), round(width * ratio)
        image = linear(image, height, width)
    square = np.full((length, length, 3), colour, np.uint8)
    top, left = (length - height) // 2, (length - width) // 2
    square[top : top + height, left : left + width] = image
    return square


def padded(image: Array) -> Array:
    """Fill up to a square at the right or below."""
    length = max(image.shape[:2])
    return np.pad(image, ((0, length - image.shape[0]), (0, length - image.shape[1]), (0, 0)))


def half_a_pixel(image: Array, before: int) -> Array:
    """Return the mean of each pixel and its neighbours above and to the left (`before` 1), or below and right (0)."""
    pad = (before, 1 - before)
    wide = np.pad(image.astype(np.float32), (pad, pad, (0, 0)), "edge")
    return np.asarray(np.rint((wide[1:, 1:] + wide[:-1, 1:] + wide[1:, :-1] + wide[:-1, :-1]) / 4), np.uint8)


def through_jpeg(image: Array, quality: int) -> Array:
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def as_hwc(logits: Array) -> Array:
    classes, height, width = logits.shape
    return np.asarray(logits.ravel().reshape(height, width, classes).argmax(-1))


IMAGENET = np.array([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]], np.float32)
CAFFE = np.array([122.67892, 116.66877, 104.00699], np.float32)


def mistakes(classes: int) -> list[Mistake]:
    """Return every mistake; `classes` is the number of classes of the network."""
    ids = np.arange(256, dtype=np.uint8)
    ids[:classes] = np.random.default_rng(5).permutation(classes)
    return [
        Mistake("channels swapped (BGR)", "channels", lambda x: x[..., ::-1]),
        Mistake("HWC bytes read as CHW", "channels", lambda x: x.ravel().reshape(3, *x.shape[:2]).transpose(1, 2, 0)),
        Mistake("mean missing", "values", lambda x, mean, std: x / std),
        Mistake("std missing", "values", lambda x, mean, std: x - mean),
        Mistake("mean and std missing", "values", lambda x, mean, std: x),
        Mistake("mean and std missing, values in 0..1", "values", lambda x, mean, std: x / 255),
        Mistake("values in 0..1 for 0..255", "values", lambda x, mean, std: (x / 255 - mean) / std),
        Mistake("mean 0.5 and std 0.5", "values", lambda x, mean, std: (x / 255 - 0.5) / 0.5),
        Mistake("normalised twice", "values", lambda x, mean, std: ((x - mean) / std - mean) / std),
        Mistake("mean of Caffe", "values", lambda x, mean, std: x - CAFFE),
        Mistake("mean and std in the order BGR", "values", lambda x, mean, std: (x - mean[::-1]) / std[::-1]),
        Mistake("half (nearest)", "size", lambda x: resized(x, x.shape[0] // 2, x.shape[1] // 2, NEAREST)),
        Mistake("half (bilinear)", "size", lambda x: area(x)),
        Mistake("half (bilinear, filtered)", "size", lambda x: resized(x, x.shape[0] // 2, x.shape[1] // 2, BILINEAR)),
        Mistake("half (every second", "size", lambda x: x[::2, ::2]),
        Mistake("256x256 (bilinear)", "size", lambda x: linear(x, 256, 256)),
        Mistake("224x224 (bilinear, filtered)", "size", lambda x: resized(x, 224, 224, BILINEAR)),
        Mistake("320x320 (nearest)", "size", lambda x: resized(x, 320, 320, NEAREST)),
        Mistake("512x512 (bilinear)", "size", lambda x: linear(x, 512, 512)),
        Mistake("to H and W swapped (bilinear)", "size", lambda x: linear(x, x.shape[1], x.shape[0])),
        Mistake("half a pixel (down and right)", "size", lambda x: half_a_pixel(x, 1)),
        Mistake("half a pixel (up and left)", "size", lambda x: half_a_pixel(x, 0)),
        Mistake("letterbox not cut off (longer side, black)", "size", lambda x: in_square(x, 0)),
        Mistake("letterbox not cut off (longer side, grey)", "size", lambda x: in_square(x, 114)),
        Mistake("letterbox not cut off (640, grey)", "size", lambda x: in_square(x, 114, 640)),
        Mistake("padded to a square at the right or below", "size", padded),
        Mistake("mirrored left to right", "geometry", np.fliplr),
        Mistake("mirrored top to bottom", "geometry", np.flipud),
        Mistake("rotated by 90", "geometry", np.rot90),
        Mistake("rotated by 180", "geometry", lambda x: np.rot90(x, 2)),
        Mistake("rotated by 270", "geometry", lambda x: np.rot90(x, 3)),
        Mistake("H and W swapped (transposed)", "geometry", lambda x: np.swapaxes(x, 0, 1)),
        Mistake("EXIF orientation ignored", "file"),
        Mistake("JPEG of quality 30", "jpeg", lambda x: through_jpeg(x, 30)),
        Mistake("logits read as [H, W, C]", "scores", as_hwc),
        Mistake("arg max over the rows", "scores", lambda logits: logits.argmax(1)),
        Mistake("arg max over the columns", "scores", lambda logits: logits.argmax(2)),
        Mistake("ids one too high", "ids", lambda labels: labels + np.uint8(1)),
        Mistake("ids one too low", "ids", lambda labels: labels - np.uint8(1)),
        Mistake("ids permuted", "ids", lambda labels: ids[labels]),
        Mistake("shifted by 3 px down and 5 px right", "place", lambda labels: np.roll(labels, (3, 5), (0, 1))),
        Mistake("written with H and W swapped", "writing", lambda x: x.reshape(x.shape[::-1])),
        Mistake("written column by column", "writing", lambda x: x.T.copy().reshape(x.shape)),
        Mistake("another file", "network"),
    ]


def pairs(found: Sequence[Mistake], count: int, seed: int) -> list[tuple[Mistake, Mistake]]:
    """Return `count` pairs of different stages, each mistake as often as any other, drawn with `seed`.

    Left out are pairs that no program can have: nothing follows maps of classes along a side but ids.
    """
    possible = [pair for pair in combinations(found, 2) if pair[0].stage != pair[1].stage and _make_sense(*pair)]
    order = np.random.default_rng(seed).permutation(len(possible))
    seen = dict.fromkeys((mistake.words for mistake in found), 0)
    chosen: list[tuple[Mistake, Mistake]] = []
    for _ in range(count):
        pair = min(
            (possible[i] for i in order if possible[i] not in chosen), key=lambda p: sum(seen[m.words] for m in p)
        )
        for mistake in pair:
            seen[mistake.words] += 1
        chosen.append(pair)
    return chosen


def _make_sense(one: Mistake, two: Mistake) -> bool:
    along_a_side = any("arg max over" in mistake.words for mistake in (one, two))
    return not along_a_side or {one.stage, two.stage} == {"scores", "channels"}
