"""Read a quantization recipe: the options of `quantize` that INT8 training needs, as one TOML file.

precision = "int8"
calibration = "camvid/train.txt"   # in the forms of --calib, relative to the current folder
target = "cpu"
method = "mse"
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from fcn_deploy.errors import RecipeError
from fcn_deploy.quantization.calibration.histogram import PERCENTILE
from fcn_deploy.quantization.calibration.images import calibration_options
from fcn_deploy.quantization.options import QuantizeOptions
from fcn_deploy.system.serialization.decode import Filled, at_least, decode
from fcn_deploy.system.serialization.toml import read_toml
from fcn_deploy.vocabulary import Method, Target

INT8 = "int8"


@dataclass(frozen=True)
class QuantizeRecipe:
    """How a network is quantised; each field is the argument of `quantize` of its name.

    Attributes:
        calibration: the images on which the ranges of the activations are measured.
        max_images: the largest number of them.
    """

    calibration: Filled
    precision: str = INT8
    target: Target = "tensorrt"
    method: Method = "mse"
    percentile: Annotated[float, at_least(50, 100, "a number")] = PERCENTILE
    max_images: Annotated[int, at_least(1, 10_000)] = 100
    keep: tuple[str, ...] = ()
    quantize_first: bool | None = None
    quantize_scores: bool = False

    def options(self, source: Path, original: Path | None = None) -> QuantizeOptions:
        """Return the options of `quantize` for the FP32 file `source`, made from `original`."""
        return QuantizeOptions(
            source=source,
            precision="int8",
            calibration=replace(calibration_options(self.calibration), limit=self.max_images),
            method=self.method,
            percentile=self.percentile,
            target=self.target,
            keep=self.keep,
            quantize_first=self.quantize_first,
            quantize_scores=self.quantize_scores,
            equalize=False,
            original=original,
        )


def load_quantize_recipe(path: Path) -> QuantizeRecipe:
    """Read and check a quantization recipe.

    Raises:
        RecipeError: it cannot be read, is not TOML, is of another precision than INT8, names no calibration images, or
            has an unknown key (with a near match) or a value of the wrong kind.
    """
    try:
        raw = read_toml(path)
    except OSError as error:
        raise RecipeError(f"cannot read the quantization recipe {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    if raw.get("precision", INT8) != INT8:
        raise RecipeError(f'{path}: precision is {raw["precision"]}; training with --quantize is for "int8" alone')
    if "calibration" not in raw:
        raise RecipeError(f'{path} names no calibration images; add a line such as calibration = "train.txt"')
    return decode(QuantizeRecipe, raw, str(path), RecipeError, strict=True)
