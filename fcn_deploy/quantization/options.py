"""Define and check the options of `quantize`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, GraphError, OutputError
from fcn_deploy.graph.float_layers import choose_float_layers
from fcn_deploy.quantization.calibration.histogram import PERCENTILE
from fcn_deploy.quantization.rewrites.half_type import BF16, FP16, HalfType
from fcn_deploy.quantization.rewrites.qdq import FP8, INT8, CodeType
from fcn_deploy.quantization.search.options import SearchOptions
from fcn_deploy.recipe import load_recipe
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import check_writable, resolved
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Method, QuantizedPrecision, Target


@dataclass(frozen=True)
class QuantizeOptions:
    """Hold the arguments of `quantize`, where they are explained, with their types settled.

    Attributes:
        original: the file that `source` was exported from, or itself; None until the options are checked.
    """

    source: Path
    precision: QuantizedPrecision
    calibration: DataOptions | None = None
    method: Method = "mse"
    percentile: float = PERCENTILE
    calibration_cache: Path | None = None
    target: Target = "tensorrt"
    keep: tuple[str, ...] = ()
    quantize_first: bool | None = None
    quantize_scores: bool = False
    equalize: bool | None = None
    correct_bias: bool = False
    recipe: Path | None = None
    search: SearchOptions | None = None
    original: Path | None = None

    @property
    def codes(self) -> CodeType | None:
        """What the inputs and weights of quantised convolutions are stored in; None for a precision without them."""
        return {"int8": INT8, "fp8": FP8}.get(self.precision.partition("+")[0])

    @property
    def own_method(self) -> Method:
        """How ranges are chosen: by `method` for INT8, all that was seen for FP8.

        Steps of FP8 grow with the value, so a large one takes nothing from the small ones, and clipping gains nothing.
        """
        return "minmax" if self.codes is FP8 else self.method

    @property
    def half(self) -> HalfType | None:
        """What all of the network, or what is not quantised, becomes; None where it stays in FP32."""
        return {"fp16": FP16, "bf16": BF16}.get(self.precision.rpartition("+")[2])


@contextmanager
def checked_options(options: QuantizeOptions, target: Path, progress: Progress = SILENT) -> Iterator[QuantizeOptions]:
    """Check the options, then give them with an ONNX file for a model of any kind; a recipe is its own `recipe`.

    Raises:
        CheckpointError, ExportError, RecipeError: the model cannot be read or exported.
        GraphError, DataError, OutputError: as for `check_options`.
    """
    with ModelSource(options.source, progress) as source:
        own = None if source.recipe is None else source.recipe.path
        check_options(replace(options, source=source.path), target)
        yield replace(options, source=source.onnx_file(), recipe=options.recipe or own, original=source.path)


def check_options(options: QuantizeOptions, target: Path) -> None:
    """Reject options that cannot be met, or written to `target`.

    Raises:
        GraphError, DataError: options that do not go together.
        OutputError: the file or the cache cannot be written.
    """
    _check_precision(options)
    if options.calibration is None and options.calibration_cache is not None:
        raise DataError("a calibration cache is of images; give them (--calib), or leave it out (--calib-cache)")
    if resolved(target) == resolved(options.source):
        raise OutputError(f"{target} is the FP32 file itself, which would be lost; give another file (-o)")
    check_writable(target)
    if options.calibration_cache is not None:
        _check_own_file(options.calibration_cache, "the calibration cache", "--calib-cache", options.source, target)
    if options.search is not None and options.search.log is not None:
        _check_own_file(Path(options.search.log), "the search log", "--search-log", options.source, target)


def _check_precision(options: QuantizeOptions) -> None:
    """Raise GraphError or DataError if an option does not go with the precision."""
    precision, int8 = options.precision, options.codes is INT8
    if options.target == "cpu" and options.codes is FP8:
        raise GraphError(
            "the cpu target has no FP8: its kernels would compute in FP32; use int8, or leave --target out"
        )
    if options.target == "cpu" and int8 and options.half is not None:
        raise GraphError("the cpu target has no FP16: its kernels would compute in FP32 between casts; use int8")
    if options.calibration is None and options.codes is not None:
        raise DataError(f"{options.codes.name} needs images to measure activations with; give a data set (--calib)")
    if options.search is not None and not int8:
        raise GraphError(f"a search finds layers that INT8 hurts, and {precision} has none; use int8 or int8+fp16")
    if not int8 and (options.equalize or options.correct_bias):
        flag = "--equalize" if options.equalize else "--correct-bias"
        raise GraphError(f"{flag} is for INT8, and {precision} has none; use int8 or int8+fp16, or leave it out")
    if options.half is BF16 and options.calibration_cache is not None:
        raise DataError("bf16 measures nothing that a calibration cache would keep; leave it out (--calib-cache)")


def _check_own_file(path: Path, what: str, flag: str, source: Path, target: Path) -> None:
    """Raise OutputError if `path` cannot be written, or is one of the model's own files."""
    if resolved(path) in (resolved(source), resolved(target)):
        raise OutputError(f"{path} cannot be a model and {what}; give another file ({flag})")
    check_writable(path)


def layers_kept_in_float(model: ir.Model, options: QuantizeOptions) -> dict[str, str]:
    """Return convolution -> why it stays in float before any search.

    The first layer has 3 input channels: little to gain on a GPU; on a CPU its large result is worth 8 bits, unless it
    has few output channels, for which the integer kernels are slower than those in float.
    """
    first: bool | Literal["narrow"] = "narrow" if options.target == "cpu" else True
    if options.quantize_first is not None:
        first = not options.quantize_first
    keep = (*options.keep, *(() if options.recipe is None else load_recipe(options.recipe).keep_float))
    return choose_float_layers(model, keep, first=first, score=not options.quantize_scores)
