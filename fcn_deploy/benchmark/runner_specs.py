"""Parse what each row of the benchmark runs: a runner, and the model as it is, in another precision or as an engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, GraphError, RunnerError, UnknownNameError
from fcn_deploy.graph.float_layers import check_rewritable, for_cpu_alone
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.model_file import Kind, kind_of
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import RUNNERS, default_runner, entry, gpu_of, int8_target
from fcn_deploy.vocabulary import PRECISIONS, Target

# What a user means as a precision and not as a device: int4, fp4, float16, fp16+int8.
PRECISION_LIKE = r"(u?int|bf|fp|float|half|double|tf)\d*|.*\+.*"


@dataclass(frozen=True)
class RunnerSpec:
    """What one row of the benchmark runs: "onnxruntime", "onnxruntime:int8", "onnxruntime:cuda:fp16", "tensorrt:int8".

    Attributes:
        text: as the user wrote it; the row's name.
        runner: the part that `open_runner` knows.
        precision: what the model is rewritten to first; None takes it as it is.
        asked_target: the target of INT8 where it is not the runner's own.
    """

    text: str
    runner: str
    precision: str | None = None
    asked_target: Target | None = None

    @property
    def is_engine(self) -> bool:
        return entry(self.runner).opens == "engine"

    @property
    def target(self) -> Target:
        """For whose INT8 kernels the file is made; FP8 is for TensorRT alone, whatever computes it."""
        own = "tensorrt" if "fp8" in str(self.precision) else int8_target(self.runner)
        return self.asked_target or own


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


def rows_of(
    sources: Sequence[str], runners: Sequence[str] | None, calibrated: bool
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return every file with its rows: all of `runners` for a single file, for each of several those that can take it.

    Args:
        runners: None is the default: `default_specs` of a single file; several files run as they are.
        calibrated: whether there are images to calibrate with.

    Raises:
        UnknownNameError: no such runner or precision.
        RunnerError: no runner opens one of the files.
    """
    if len(sources) == 1:
        only = sources[0]
        return ((only, default_specs(only, calibrated) if runners is None else tuple(runners)),)
    specs = None if runners is None else list(map(parse_spec, runners))
    rows = []
    for source in sources:
        takes = Takes.of(source)
        found = takes.as_it_is() if specs is None else tuple(spec.text for spec in specs if takes.row(spec))
        if not found:
            raise RunnerError(f"none of the runners opens {source}; add {default_runner(takes.kind)}")
        rows.append((source, found))
    return tuple(rows)


def default_specs(source: str, calibrated: bool) -> tuple[str, ...]:
    """Return the rows of each runner that is installed and can take the file; of an engine, the runner that opens it.

    An FP32 model has rows of what an engineer would deploy too: INT8 on the CPU, FP16 and INT8 in engines.

    Args:
        calibrated: whether there are images to calibrate with.
    """
    takes = Takes.of(source)
    if takes.kind == "engine":
        return (default_runner("engine"),)
    found = [
        parse_spec(f"{name}:{precision}" if precision else name)
        for name, line in RUNNERS.items()
        if is_installed(name)
        for precision in (line.rows if takes.rewriting else ("",))
        if calibrated or "int8" not in precision
    ]
    return tuple(spec.text for spec in found if takes.row(spec))


def is_installed(name: str) -> bool:
    """Whether the runner's package is there, as far as its files tell."""
    found_by = RUNNERS[name].found_by
    return not found_by or any(find_spec(module) is not None for module in found_by)


@dataclass(frozen=True)
class Takes:
    """What can run a file.

    Attributes:
        network: whether PyTorch can: the FP32 weights are there, and the network is none of another tool.
        rewriting: whether it can be rewritten to another precision.
        building: whether TensorRT reads it; a file for CPUs has zero points, which TensorRT does not have.
    """

    kind: Kind
    network: bool = True
    rewriting: bool = True
    building: bool = True

    @classmethod
    def of(cls, source: str) -> Takes:
        """Look into the file; one that cannot be read says so elsewhere."""
        kind = kind_of(source)
        if kind != "onnx":
            return cls(kind)
        try:
            graph = load_graph(Path(source))
            card = find_card(graph, Path(source))
        except GraphError:
            return cls(kind)
        rewriting, own = _is_rewritable(graph, source), card is not None and not card.is_foreign
        return cls(kind, rewriting and own, rewriting, not for_cpu_alone(graph))

    def row(self, spec: RunnerSpec) -> bool:
        """Whether the file can have this row."""
        opens = entry(spec.runner).opens
        if self.kind == "engine":
            return opens == "engine" and spec.precision is None
        if spec.precision not in (None, "fp32") and not self.rewriting:
            return False
        return {"network": self.network, "engine": self.building, "onnx": True}[opens]

    def as_it_is(self) -> tuple[str, ...]:
        """Return the installed runners that open the file itself; nothing is rewritten, no engine is built."""
        if self.kind == "engine":
            return (default_runner("engine"),)
        rows = (name for name, line in RUNNERS.items() if line.opens != "engine" and is_installed(name))
        return tuple(name for name in rows if self.row(parse_spec(name)))


def _is_rewritable(graph: ir.Model, source: str) -> bool:
    try:
        check_rewritable(graph, source)
    except GraphError:
        return False
    return True


def check_calibration(specs: Sequence[RunnerSpec], calibration: DataOptions | None) -> None:
    """Raise DataError if a row needs calibration images and there are none."""
    needing = [spec.text for spec in specs if str(spec.precision).startswith(("int8", "fp8"))]
    if needing and calibration is None:
        raise DataError(
            f"{needing[0]} needs images to calibrate with, other ones than those of --data; name them with --calib, or "
            "leave it out"
        )


def check_engines(specs: Sequence[RunnerSpec], engine: TrtOptions | None) -> None:
    """Raise RunnerError if there are options for engines and no row of one."""
    if engine is not None and not any(spec.is_engine for spec in specs):
        raise RunnerError("no row runs an engine; contexts, slots, CUDA graphs and preallocation are for tensorrt")
