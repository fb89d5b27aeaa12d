"""Write the command lines that make a candidate's file again."""

from __future__ import annotations

import shlex
from pathlib import Path

from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.data.options import DataOptions
from fcn_deploy.model_file import kind_of


def commands_for(options: ChoiceOptions, spec: RunnerSpec) -> tuple[str, ...]:
    """Return one command, or an export before it where the network must be named; () for the file as it was given."""
    source, commands = options.model, list[str]()
    rewritten = spec.precision not in (None, "fp32")
    if kind_of(source) != "onnx" and (not rewritten or options.model_name is not None):
        exported = options.output.with_suffix(".fp32.onnx") if rewritten else options.output
        named = [] if options.model_name is None else ["--model", options.model_name]
        commands.append(_line("export", source, *named, "-o", exported))
        source = str(exported)
    if rewritten:
        target = ["--target", spec.target] if "int8" in str(spec.precision) else []
        calibration = [] if options.calibration is None else _calibration(options.calibration)
        parts = ["--precision", spec.precision, *target, *calibration, "-o", options.output]
        commands.append(_line("quantize", source, *parts))
    return tuple(commands)


def _calibration(data: DataOptions) -> list[object]:
    """Return the options of the calibration images, without those that `quantize` takes by itself."""
    found: list[object] = ["--calib", data.source]
    if data.split != "train":
        found += ["--calib-split", data.split]
    if data.limit != 100 and data.limit is not None:
        found += ["--max-images", data.limit]
    if data.on_error == "skip":
        found += ["--bad-images", "skip"]
    return found


def _line(command: str, *parts: object) -> str:
    return shlex.join(["fcn-deploy", command, *(str(part) if isinstance(part, Path) else f"{part}" for part in parts)])
