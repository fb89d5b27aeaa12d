"""List the slips that are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.constants import Normalisation
from fcn_deploy.diagnosis.slips.fitted import fit_ids, fit_shift
from fcn_deploy.diagnosis.slips.geometry import (
    Bytes,
    Interpolation,
    half_pixel,
    half_size,
    letterboxed,
    resized,
    through_jpeg,
)
from fcn_deploy.diagnosis.slips.slip import Slip, ValueStep

SIDES = (224, 256, 320, 384, 512, 640)
MOST_LARGER = 4
QUALITIES = (75, 30)
IMAGENET = (np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375]))
CAFFE = np.array([122.67892, 116.66877, 104.00699])
IN_INT8 = "in an INT8 file"
BEHIND_FLOAT = "in an INT8 file whose first layer is in float"
_RIGHT_SIZE = "give the network the image at the size that the file is meant for, and half-pixel centres"


def slips(
    image_size: tuple[int, int],
    normalisation: Normalisation,
    label_size: tuple[int, int] | None = None,
    others: Sequence[str] = (),
) -> list[Slip]:
    """Return every slip that makes a difference.

    Args:
        image_size: (H, W), sizes of more than `MOST_LARGER` times its pixels are left out.
        normalisation: the right one.
        label_size: (H, W) of the label maps where they are not the images', which is tried as the network's size.
        others: names of other files to run.
    """
    return [
        *_files(others),
        *_geometry(),
        *(
            Slip(
                f"JPEG of quality {quality} in between", "give the network the decoded image itself", "jpeg", image=step
            )
            for quality, step in ((quality, through_jpeg(quality)) for quality in QUALITIES)
        ),
        *_sizes(image_size, label_size),
        *_channels(),
        *_values(normalisation),
        *_scores(),
        *_labels(),
    ]


def _files(others: Sequence[str]) -> list[Slip]:
    return [
        Slip(
            f"another file ({name})", "give the program the reference file, if that is wanted", "network", network=name
        )
        for name in others
    ]


def _geometry() -> list[Slip]:
    turn = "give the network the image upright, and turn its labels back if the image was turned"
    steps: dict[str, Callable[[Bytes], Bytes]] = {
        "mirrored left to right": lambda image: image[:, ::-1],
        "mirrored top to bottom": lambda image: image[::-1],
        "rotated by 90 degrees (counter-clockwise)": lambda image: np.rot90(image, 1),
        "rotated by 180 degrees": lambda image: np.rot90(image, 2),
        "rotated by 270 degrees (counter-clockwise)": lambda image: np.rot90(image, 3),
        "H and W swapped (transposed)": lambda image: image.transpose(1, 0, 2),
    }
    return [
        Slip("EXIF orientation ignored", "apply the EXIF orientation when decoding", "file", stored=True),
        *(Slip(name, turn, "geometry", image=step) for name, step in steps.items()),
    ]


def _sizes(image_size: tuple[int, int], label_size: tuple[int, int] | None) -> list[Slip]:
    sides = [side for side in SIDES if side * side <= MOST_LARGER * image_size[0] * image_size[1]]
    steps: dict[str, Callable[[Bytes], Bytes]] = {"resized to half (every second pixel)": lambda image: image[::2, ::2]}
    for how in get_args(Interpolation):
        steps[f"resized to half ({how})"] = partial(half_size, how=how)
        if label_size is not None:
            steps[f"resized to the label maps' {label_size[0]}x{label_size[1]} ({how})"] = resized(label_size, how)
        steps[f"resized to H and W swapped ({how})"] = partial(_resized_to_swapped, how=how)
        # An image that is enlarged along both sides has nothing to filter.
        for side in sides if how != "bilinear, filtered" else [side for side in sides if side < max(image_size)]:
            steps[f"resized to {side}x{side} ({how})"] = resized((side, side), how)
    moved = {f"shifted by half a pixel ({text})": partial(half_pixel, sign=sign) for text, sign in _DIRECTIONS}
    boxed = {
        f"letterbox not cut off ({'longer side' if side is None else side}, {'black' if colour == 0 else 'grey'})": (
            letterboxed(side, colour)
        )
        for side in (None, *sides[-2:])
        for colour in (0, 114)
    }
    boxed["padded to a square at the right or below (longer side, black)"] = letterboxed(None, 0, centred=False)
    cut = "cut the bars off the labels before they are resized, or use the image without bars"
    return [
        *(Slip(name, _RIGHT_SIZE, "size", image=step) for name, step in steps.items()),
        *(Slip(name, "resize with half-pixel centres", "size", image=step) for name, step in moved.items()),
        *(Slip(name, cut, "size", image=step) for name, step in boxed.items()),
    ]


_DIRECTIONS = (("down and right", 1), ("up and left", -1))


def _resized_to_swapped(image: Bytes, how: Interpolation) -> Bytes:
    return resized((image.shape[1], image.shape[0]), how)(image)


def _channels() -> list[Slip]:
    return [
        Slip(
            "channels swapped (BGR)",
            "give the network RGB (OpenCV decodes to BGR: cv2.cvtColor(image, cv2.COLOR_BGR2RGB))",
            "channels",
            image=lambda image: image[..., ::-1],
        ),
        Slip(
            "HWC bytes read as CHW",
            "transpose the image, do not reshape it",
            "channels",
            image=lambda image: image.reshape(3, *image.shape[:2]).transpose(1, 2, 0),
        ),
    ]


def _values(right: Normalisation) -> list[Slip]:
    fix = "normalise as the model card says (`fcn-deploy inspect`), once; a file with a uint8 input does it itself"
    steps: dict[str, ValueStep] = {
        "mean missing": lambda x, norm: _ordered(x, norm) / norm.std,
        "std missing": lambda x, norm: _ordered(x, norm) - norm.mean,
        "mean and std missing": lambda x, norm: _ordered(x, norm),
        "mean and std missing, values in 0..1": lambda x, norm: _ordered(x, norm) / 255,
        "values in 0..1 for 0..255": lambda x, norm: (_ordered(x, norm) / 255 - norm.mean) / norm.std,
        "mean 0.5 and std 0.5 of 0..1": lambda x, norm: _ordered(x, norm) / 127.5 - 1,
        "normalised twice": lambda x, norm: ((_ordered(x, norm) - norm.mean) / norm.std - norm.mean) / norm.std,
        "mean of Caffe, no std": lambda x, norm: _ordered(x, norm) - CAFFE,
        "mean and std in the order BGR": lambda x, norm: (_ordered(x, norm) - norm.mean[::-1]) / norm.std[::-1],
        "ImageNet's mean and std": lambda x, norm: (_ordered(x, norm) - IMAGENET[0]) / IMAGENET[1],
    }
    if not right.mean.any():
        del steps["mean missing"]
    if (right.std == 1).all():
        del steps["std missing"]
    if (right.std == 1).all() and np.allclose(right.mean, CAFFE, atol=1):
        del steps["mean of Caffe, no std"]
    if np.allclose(right.mean, right.mean[::-1]) and np.allclose(right.std, right.std[::-1]):
        del steps["mean and std in the order BGR"]
    if np.allclose(right.mean, IMAGENET[0], atol=1) and np.allclose(right.std, IMAGENET[1], atol=1):
        del steps["ImageNet's mean and std"]
    wide = [name for name in _WIDE if name in steps]
    in_int8 = [(IN_INT8, name, _in_range(steps[name])) for name in wide]
    behind_float = [(BEHIND_FLOAT, name, steps[name]) for name in wide]
    return [
        *(Slip(name, fix, "values", values=step) for name, step in steps.items()),
        *(
            Slip(f"{name} ({where})", fix, "values", values=step, saturated=True, variant_of=name)
            for where, name, step in (*in_int8, *behind_float)
        ),
    ]


_WIDE = ("mean missing", "std missing", "mean and std missing", "mean of Caffe, no std")


def _in_range(step: ValueStep) -> ValueStep:
    """Return the step as a file sees it whose quantised input holds no more than the right values."""

    def clipped(x: NDArray[np.float32], norm: Normalisation) -> NDArray[Any]:
        low, high = (0 - norm.mean) / norm.std, (255 - norm.mean) / norm.std
        return step(x, norm).clip(low.min(), high.max())

    return clipped


def _ordered(x: NDArray[np.float32], norm: Normalisation) -> NDArray[Any]:
    ordered: NDArray[Any] = x[..., list(norm.order)]
    return ordered


def _scores() -> list[Slip]:
    over_classes = "take the arg max over the classes: axis 1 of [N, C, H, W]"
    return [
        Slip("logits read as [H, W, C]", over_classes, "scores", scores=_read_as_hwc),
        Slip("arg max over the rows", over_classes, "scores", scores=lambda x: x.transpose(1, 0, 2), along_side=True),
        Slip(
            "arg max over the columns", over_classes, "scores", scores=lambda x: x.transpose(2, 0, 1), along_side=True
        ),
    ]


def _read_as_hwc(logits: NDArray[Any]) -> NDArray[Any]:
    classes, height, width = logits.shape
    read: NDArray[Any] = logits.reshape(height, width, classes).transpose(2, 0, 1)
    return read


def _labels() -> list[Slip]:
    ids = "use the class ids of the model card (`fcn-deploy inspect`)"
    return [
        Slip("class ids one too high", ids, "ids", labels=lambda labels: labels + 1),
        Slip("class ids one too low", ids, "ids", labels=lambda labels: labels - 1),
        Slip("class ids permuted", ids, "ids", fit=fit_ids),
        Slip("shifted by whole pixels", "place the labels where the image's pixels are", "place", fit=fit_shift),
        Slip(
            "labels written with H and W swapped",
            "write the labels row by row: H rows of W bytes",
            "writing",
            undo=lambda labels: labels.reshape(labels.shape[::-1]),
        ),
        Slip(
            "labels written column by column",
            "write the labels row by row: H rows of W bytes",
            "writing",
            undo=lambda labels: labels.reshape(labels.shape[::-1]).T,
        ),
    ]
