"""Parse what each row of the benchmark runs: a runner, and the model as it is, in another precision or as an engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, GraphError, RunnerError, UnknownNameError
from fcn_deploy.graph.float_layers import check_rewritable
from fcn_deploy.graph.load import load_graph
from fcn_deploy.model_file import kind_of
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import RUNNERS, default_runner, entry, gpu_of, int8_target
from fcn_deploy.vocabulary import PRECISIONS

# What a user means as a precision and not as a device: int4, fp8, bf16, float16, fp16+int8.
PRECISION_LIKE = r"(u?int|bf|fp|float|half|double|tf)\d*|.*\+.*"


@dataclass(frozen=True)
class RunnerSpec:
    """What one row of the benchmark runs: "onnxruntime", "onnxruntime:int8", "onnxruntime:cuda:fp16", "tensorrt:int8".

    Attributes:
        text: as the user wrote it; the row's name.
        runner: the part that `open_runner` knows.
        precision: what the model is rewritten to first; None takes it as it is.
    """

    text: str
    runner: str
    precision: str | None = None

    @property
    def is_engine(self) -> bool:
        return entry(self.runner).opens == "engine"

    @property
    def target(self) -> str:
        """Whose INT8 kernels will run it."""
        return int8_target(self.runner)


def parse_spec(spec: str) -> RunnerSpec:
    """Split "onnxruntime:cuda:fp16" into the runner and the precision that the model is rewritten to.

    Raises:
        UnknownNameError: no such runner or precision, two precisions, or one that PyTorch has not.
    """
    parts = spec.split(":")
    own = entry(spec).types
    for part in parts[1:]:
        if (
            part not in (*PRECISIONS, *own)
            and not part.isdecimal()
            and (entry(spec).device == "" or re.fullmatch(PRECISION_LIKE, part))
        ):
            raise UnknownNameError.of(f"precision of {parts[0]}", part, {*PRECISIONS, *own})
    gpu_of(spec)
    precisions = [part for part in parts[1:] if part in PRECISIONS and part not in own]
    found = RunnerSpec(spec, ":".join(part for part in parts if part not in precisions), next(iter(precisions), None))
    line = entry(found.runner)
    if len(precisions) > 1 or (precisions and line.opens == "network"):
        takes = "one precision" if line.opens != "network" else f"none but {', '.join(own)}"
        raise UnknownNameError(f"'{spec}': {parts[0]} takes {takes}")
    return found


def default_specs(source: str, calibrated: bool) -> tuple[str, ...]:
    """Return the rows of each runner that is installed; of an engine, the runner that opens it.

    An FP32 model has rows of what an engineer would deploy too: INT8 on the CPU, FP16 and INT8 in engines.

    Args:
        calibrated: whether there are images to calibrate with.
    """
    if kind_of(source) == "engine":
        return (default_runner("engine"),)
    rewritable = _rewritable(source)
    return tuple(
        f"{name}:{precision}" if precision else name
        for name, line in RUNNERS.items()
        if not line.found_by or any(find_spec(module) is not None for module in line.found_by)
        for precision in (line.rows if rewritable else ("",))
        if calibrated or "int8" not in precision
    )


def _rewritable(source: str) -> bool:
    """Whether it can be rewritten to another precision; a source that cannot be read says so elsewhere."""
    if kind_of(source) != "onnx":
        return True
    try:
        check_rewritable(load_graph(Path(source)), source)
    except GraphError:
        return False
    return True


def check_calibration(specs: Sequence[RunnerSpec], calibration: DataOptions | None) -> None:
    """Raise DataError if a row needs calibration images and there are none."""
    needing = [spec.text for spec in specs if spec.precision is not None and "int8" in spec.precision]
    if needing and calibration is None:
        raise DataError(
            f"{needing[0]} needs images to calibrate with, other ones than those of --data; name them with --calib, or "
            "leave it out"
        )


def check_engines(specs: Sequence[RunnerSpec], engine: TrtOptions | None) -> None:
    """Raise RunnerError if there are options for engines and no row of one."""
    if engine is not None and not any(spec.is_engine for spec in specs):
        raise RunnerError("no row runs an engine; streams, slots, CUDA graphs and preallocation are for tensorrt")
