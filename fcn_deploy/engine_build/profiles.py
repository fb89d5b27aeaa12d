"""Choose the sizes that an engine is built for: given ones, those of images, a recipe or the file, or a default."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import Dataset, OnError, iterate
from fcn_deploy.data.options import DataOptions, without_labels
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.sizes import FixedDims
from fcn_deploy.quantization.calibration.images import open_images
from fcn_deploy.recipe import Recipe
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.vocabulary import Profile, Shape

# The networks' stride: their coarsest scores are 1/32 of the image.
STRIDE = 32
DYNAMIC: FixedDims = (None, None, None)
DEFAULT = Profile((1, 32, 32), (1, 360, 480), (1, 1080, 1920))


def given_profiles(least: Sequence[Shape], usual: Sequence[Shape], most: Sequence[Shape]) -> tuple[Profile, ...]:
    """Make profiles from --min, --opt and --max, each given equally often; --opt alone is a fixed size.

    Raises:
        EngineError: a number of one that is not that of the others, or a profile that cannot be.
    """
    if not least and not most:
        least = most = usual
    if not len(least) == len(usual) == len(most):
        raise EngineError(
            f"--min was given {len(least)} times, --opt {len(usual)} times and --max {len(most)} times; "
            "each profile needs one of each, or --opt alone"
        )
    return tuple(Profile(*shapes) for shapes in zip(least, usual, most, strict=True))


def profile_of_images(card: ModelCard | None, data: DataOptions, batch: int, progress: Progress = SILENT) -> Profile:
    """Make a profile from the smallest, median and largest image, rounded down, to the nearest and up to 32.

    Args:
        batch: largest N; the smallest and the usual one are 1.

    Raises:
        DataError: the images cannot be opened.
    """
    dataset = without_labels(open_images(card, data))  # silently: labels do not matter here
    return profile_of_dataset(dataset, data.on_error, batch, progress)


def profile_of_dataset(dataset: Dataset, on_error: OnError, batch: int, progress: Progress = SILENT) -> Profile:
    """Return the same of a data set that is open already."""
    heights, widths = [], []
    samples = iterate(dataset, on_error=on_error, progress=progress)
    for sample in track(progress, f"sizes of {dataset.name}", samples, len(dataset)):
        heights.append(sample.image.shape[0])
        widths.append(sample.image.shape[1])
    (low_h, mid_h, high_h), (low_w, mid_w, high_w) = map(_rounded, (heights, widths))
    return Profile((1, low_h, low_w), (1, mid_h, mid_w), (batch, high_h, high_w))


def _rounded(sides: Sequence[int]) -> tuple[int, int, int]:
    """Return the least side rounded down to the stride, but not to 0, the median to the nearest, the largest up."""
    least, usual, largest = min(sides), round(statistics.median(sides) / STRIDE), -(-max(sides) // STRIDE)
    return least // STRIDE * STRIDE or least, max(1, usual) * STRIDE, largest * STRIDE


def default_profile(recipe: Recipe | None, fixed: FixedDims, batch: int | None) -> tuple[Profile, str]:
    """Return a recipe's profile, else the default, within what the file fixes; and where it is from, for a message.

    Args:
        fixed: see `fixed_dims`.
        batch: largest N.

    Raises:
        EngineError: a `batch` that the file does not allow.
    """
    if batch is not None and fixed[0] not in (None, batch):
        raise EngineError(
            f"--max-batch {batch} cannot be had: the file fixes N at {fixed[0]}; export it with dynamic N, H and W, or "
            "leave --max-batch out"
        )
    profile, origin = DEFAULT, "the default"
    if recipe is not None and recipe.shapes is not None:
        profile, origin = recipe.shapes, f"from {recipe.path.name}"
    if batch is not None:
        profile = Profile((1, *profile.min[1:]), (1, *profile.opt[1:]), (batch, *profile.max[1:]))
    return Profile(*(_apply_fixed(shape, fixed) for shape in (profile.min, profile.opt, profile.max))), origin


def check_fixed(profiles: Sequence[Profile], dims: FixedDims) -> None:
    """Raise EngineError for a profile that goes beyond what the file fixes; the builder would reject it late."""
    for axis, fixed in zip("NHW", dims, strict=True):
        for profile in profiles:
            found = [shape["NHW".index(axis)] for shape in (profile.min, profile.opt, profile.max)]
            if fixed is not None and any(number != fixed for number in found):
                raise EngineError(
                    f"profile {profile} varies {axis}, which the file fixes at {fixed}; export it with dynamic "
                    f"N, H and W, or ask for {fixed} throughout"
                )


def in_multiples(profile: Profile, divisor: int) -> Profile:
    """Return the profile with sides that are multiples of `divisor`: the least down, the usual nearest, the most up."""
    (n, *least), (usual_n, *usual), (most_n, *most) = profile.min, profile.opt, profile.max
    low = [max(1, side // divisor) * divisor for side in least]
    middle = [max(1, round(side / divisor)) * divisor for side in usual]
    high = [-(-side // divisor) * divisor for side in most]
    return Profile((n, low[0], low[1]), (usual_n, middle[0], middle[1]), (most_n, high[0], high[1]))


def check_divisor(profiles: Sequence[Profile], divisor: int) -> None:
    """Raise EngineError for a profile with sides that the model does not take; the builder would tell it late."""
    for profile in profiles:
        wrong = [side for shape in (profile.min, profile.opt, profile.max) for side in shape[1:] if side % divisor]
        if wrong:
            raise EngineError(
                f"profile {profile} has a side of {wrong[0]}; the model takes sides that are multiples of {divisor}"
            )


def _apply_fixed(shape: Shape, fixed: FixedDims) -> Shape:
    n, h, w = (own if given is None else given for own, given in zip(shape, fixed, strict=True))
    return n, h, w
