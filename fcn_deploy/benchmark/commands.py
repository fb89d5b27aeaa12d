"""Write the command line that makes the file of a row again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.data.options import DataOptions
from fcn_deploy.network_size import size_words
from fcn_deploy.runners.registry import entry
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.vocabulary import LABELS, Profile, shape_text


def made_name(stem: str, spec: RunnerSpec) -> str:
    """Return what the file that is made for a row is called: "fcn8s.int8.cpu.onnx", "fcn8s.fp16.engine"."""
    if spec.is_engine:
        return f"{stem}.{spec.precision}.engine" if spec.precision else f"{stem}.engine"
    if spec.precision in (None, "fp32"):
        return f"{stem}.onnx"
    # FP16 is the same for all; INT8 is not
    target = f".{spec.target}" if "int8" in str(spec.precision) else ""
    return f"{stem}.{spec.precision}{target}.onnx"


def is_made(source: ModelSource, spec: RunnerSpec) -> bool:
    """Whether the row's runner opens another file than the source itself."""
    opens = entry(spec.runner).opens
    if source.kind == "engine" or opens == "network":
        return False
    return opens == "engine" or spec.precision not in (None, "fp32") or not source.is_file


def command_for(
    source: ModelSource, spec: RunnerSpec, name: str, calibration: DataOptions | None, profiles: Sequence[Profile] = ()
) -> str:
    """Return the command that makes `name` from the source, quoted for a shell.

    What has a network size, a checkpoint with `--model`, and a recipe, whose list of layers to keep a benchmark does
    not use, is exported first.
    """
    given = export_words(source)
    if _verb(spec) == "export":
        return shlex.join(["fcn-deploy", "export", source.text, *given, "-o", name])
    first, text = [], source.text
    if given or source.kind == "recipe":
        text = f"{source.stem}.onnx"
        first = [shlex.join(["fcn-deploy", "export", source.text, *given, "-o", text])]
    words = ["fcn-deploy", _verb(spec), text]
    if spec.precision is not None:
        words += ["--precision", spec.precision]
    if not spec.is_engine and "int8" in str(spec.precision):
        words += ["--target", spec.target]
    if spec.precision not in (None, "fp32") and calibration is not None:
        words += calibration_words(calibration)
    words += [word for profile in profiles for word in _profile_words(profile, len(profiles) == 1)]
    return " && ".join([*first, shlex.join([*words, "-o", name])])


def export_words(source: ModelSource) -> list[str]:
    """Return the options of `export` that make what this source is."""
    words = [] if source.model is None else ["--model", source.model]
    if source.network_size is None:
        return words
    outputs, kind = source.exported_ports()
    words += ["--network-size", size_words(source.network_size)]
    words += [] if outputs == (LABELS,) else ["--outputs", ",".join(outputs)]
    return words if kind == "uint8" else [*words, "--input", kind]


def _verb(spec: RunnerSpec) -> str:
    if spec.is_engine:
        return "build-engine"
    return "export" if spec.precision in (None, "fp32") else "quantize"


def _profile_words(profile: Profile, alone: bool) -> list[str]:
    if alone and profile.min == profile.opt == profile.max:
        return ["--opt", shape_text(profile.opt)]
    ends = (("--min", profile.min), ("--opt", profile.opt), ("--max", profile.max))
    return [word for option, shape in ends for word in (option, shape_text(shape))]


def calibration_words(calibration: DataOptions) -> list[str]:
    """Return the options of `quantize` that name these images; those at their defaults are left out."""
    usual = DataOptions(split="train", limit=100)
    named = {
        "--calib": calibration.source,
        "--calib-labels": calibration.labels,
        "--calib-split": calibration.split if calibration.split != usual.split else None,
        "--max-images": calibration.limit if calibration.limit != usual.limit else None,
        "--classes": None if calibration.classes is None else ",".join(calibration.classes),
        "--ignore-index": calibration.ignore_index,
        "--label-values": None if calibration.label_values is None else ",".join(map(str, calibration.label_values)),
        "--label-suffix": calibration.label_suffix,
        "--map": calibration.class_map,
        "--bad-images": calibration.on_error if calibration.on_error != usual.on_error else None,
    }
    words = [str(word) for option, value in named.items() if value is not None for word in (option, value)]
    return [*words, "--reduce-zero-label"] if calibration.reduce_zero_label else words
