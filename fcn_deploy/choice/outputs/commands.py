"""Write the command lines that make a candidate's file again."""

from __future__ import annotations

import shlex

from fcn_deploy.benchmark.commands import calibration_words
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.model_file import kind_of


def commands_for(options: ChoiceOptions, spec: RunnerSpec) -> tuple[str, ...]:
    """Return one command, or an export before it; () for the file as it was given.

    The network is exported first where it must be named, and from a recipe, whose list of layers to keep is not used.
    """
    source, kind, commands = options.model, kind_of(options.model), list[str]()
    rewritten = spec.precision not in (None, "fp32")
    if kind != "onnx" and (not rewritten or options.model_name is not None or kind == "recipe"):
        exported = options.output.with_suffix(".fp32.onnx") if rewritten else options.output
        named = [] if options.model_name is None else ["--model", options.model_name]
        commands.append(_line("export", source, *named, "-o", exported))
        source = str(exported)
    if rewritten:
        target = ["--target", spec.target] if "int8" in str(spec.precision) else []
        calibration = [] if options.calibration is None else calibration_words(options.calibration)
        parts = ["--precision", spec.precision, *target, *calibration, "-o", options.output]
        commands.append(_line("quantize", source, *parts))
    return tuple(commands)


def _line(command: str, *parts: object) -> str:
    return shlex.join(["fcn-deploy", command, *(f"{part}" for part in parts)])
