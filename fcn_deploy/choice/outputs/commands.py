"""Write the command lines that make a candidate's file again."""

from __future__ import annotations

import shlex

from fcn_deploy.benchmark.commands import calibration_words, export_words
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.sources.model_source import ModelSource


def commands_for(options: ChoiceOptions, spec: RunnerSpec, model: ModelSource) -> tuple[str, ...]:
    """Return one command, or an export before it; () for the file as it was given.

    The network is exported first where it gets another size or must be named, and from a recipe, whose list of layers
    to keep is not used. `model` is at the candidate's network size.
    """
    source, commands, given = options.model, list[str](), export_words(model)
    rewritten = spec.precision not in (None, "fp32")
    if not model.is_file and (not rewritten or given or model.kind == "recipe"):
        exported = options.output.with_suffix(".fp32.onnx") if rewritten else options.output
        commands.append(_line("export", source, *given, "-o", exported))
        source = str(exported)
    if rewritten:
        target = ["--target", spec.target] if "int8" in str(spec.precision) else []
        calibration = [] if options.calibration is None else calibration_words(options.calibration)
        parts = ["--precision", spec.precision, *target, *calibration, "-o", options.output]
        commands.append(_line("quantize", source, *parts))
    return tuple(commands)


def _line(command: str, *parts: object) -> str:
    return shlex.join(["fcn-deploy", command, *(f"{part}" for part in parts)])
