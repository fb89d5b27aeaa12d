"""Build an engine from a model in one step: export it, rewrite its precision, build; or find nothing to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.builder.build import BuildReport, BuildRequest, build
from fcn_deploy.engine.builder.options import BuildOptions, check_options
from fcn_deploy.engine.builder.refit import check_refit
from fcn_deploy.engine.builder.type_support import check_types
from fcn_deploy.engine.flavors import Flavor, open_flavor
from fcn_deploy.engine.gpus import gpus, own_sm
from fcn_deploy.engine.sidecar import read_sidecar, reasons_to_build
from fcn_deploy.engine_build.profiles import (
    check_divisor,
    check_fixed,
    default_profile,
    in_multiples,
    profile_of_images,
)
from fcn_deploy.engine_build.request import (
    BuildSource,
    EngineRequest,
    build_key,
    check_target,
    check_together,
    inspect_source,
    nodes_kept_in_float,
)
from fcn_deploy.quantization.calibration.images import calibration_options
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.arguments import Positive, checked
from fcn_deploy.system.files import StrPath, check_writable
from fcn_deploy.system.lock import building
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder, sweep
from fcn_deploy.vocabulary import Method, Precision, Profile, QuantizedPrecision


@checked
def build_engine(
    model: StrPath,
    output: StrPath,
    *,
    precision: Precision | None = None,
    profiles: Sequence[Profile] = (),
    profile_from: StrPath | DataOptions | None = None,
    max_batch: Positive | None = None,
    flavor: str | None = None,
    options: BuildOptions | None = None,
    calibration: StrPath | DataOptions | None = None,
    method: Method = "mse",
    keep: Sequence[str] = (),
    refit_from: StrPath | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> BuildReport:
    """Build a TensorRT engine and its sidecar, unless they exist and nothing that they depend on has changed.

    Args:
        model: an .onnx file, a checkpoint, a recipe or "demo"; what is no ONNX file is exported first.
        output: the engine to write, a plain plan; its sidecar OUTPUT.json is written next to it.
        precision: "fp16", "bf16", "int8", "int8+fp16", "fp8" or "fp8+fp16" rewrites an FP32 model first; None takes the
            file's types as they are, "fp32" refuses a file that has others.
        profiles: the sizes that the engine takes, each as `Profile(min, opt, max)` of (N, H, W); () takes them from
            `profile_from`, else the recipe, else 1x32x32 .. 1x360x480 .. 1x1080x1920.
        profile_from: images whose least, median and largest sizes, rounded to 32 pixels, are the profile.
        max_batch: the largest N of a profile that `profiles` does not give; None is 1.
        flavor: "rtx" or "tensorrt"; None is what is installed, rtx first.
        options: GPU architectures, workspace and the other settings of the builder; None leaves the library's.
        calibration: images, as for `quantize`, for INT8 and FP8, and for the overflow check of FP16.
        method: how INT8 ranges are chosen from the values, as for `quantize`.
        keep: names or patterns of nodes to leave in float, as for `quantize`.
        refit_from: an engine built with `BuildOptions(refit=True)` from the same network, whose weights are exchanged
            for the model's in place of building: with the sizes and the library that it has, on a GPU.
        force: whether to build even if nothing has changed.

    Returns:
        The path and the sidecar; `built` is False if the engine was up to date.

    Raises:
        UnknownNameError: no such precision, flavor or node.
        EngineError, MissingDependencyError: the builder refuses, fails or is not installed.
        GraphError, CheckpointError, RecipeError, ExportError: the model cannot be read, exported or rewritten.
        DataError: no calibration images where INT8 or FP8 needs them, or they cannot be used.
        OutputError: the engine cannot be written.

    Example:
        >>> import fcn_deploy
        >>> size = fcn_deploy.Profile((1, 48, 64), (1, 48, 64), (1, 48, 64))
        >>> report = fcn_deploy.build_engine("demo.onnx", "demo.engine", profiles=[size])
        >>> report.built, fcn_deploy.build_engine("demo.onnx", "demo.engine", profiles=[size]).built
        (True, False)
    """
    old = None if refit_from is None else read_sidecar(Path(refit_from))
    asked = options or BuildOptions()
    request = EngineRequest(
        source=os.fspath(model),
        precision=precision,
        profiles=tuple(profiles) or (() if old is None or profile_from is not None else old.profiles),
        profile_images=None if profile_from is None else DataOptions.of(profile_from, split="train"),
        max_batch=max_batch,
        flavor=flavor or (None if old is None else old.flavor),
        options=asked if old is None else replace(asked, refit=True),
        calibration=None if calibration is None else calibration_options(calibration),
        method=method,
        keep=tuple(keep),
        force=force,
        refit_from=None if refit_from is None else Path(refit_from),
    )
    return _build_or_reuse(request, Path(output), progress)


def _build_or_reuse(request: EngineRequest, target: Path, progress: Progress) -> BuildReport:
    """Build `target` and its sidecar, unless they exist with the same key."""
    check_together(request)
    flavor = open_flavor(request.flavor)
    check_options(flavor, request.options, bool(gpus()))
    check_types(flavor, request.options, (request.precision or "").upper().split("+"), own_sm())
    check_writable(target)
    sweep()  # an engine that is reused needs no temporary folder, and a killed build may have left one
    with ModelSource(request.source, progress) as model:
        check_target(target, model)
        source = inspect_source(model, request.precision)
        profiles = _profiles(request, model, source, progress)
        key = build_key(request, flavor, model, source, profiles, progress)
        if request.refit_from is not None:
            check_refit(request.refit_from, read_sidecar(request.refit_from), key)
        with building(target, progress):
            reasons = reasons_to_build(target, key)
            if not reasons and not request.force:
                return BuildReport(target, read_sidecar(target), built=False)
            if target.exists():
                progress.say(f"building {target.name} again: {'; '.join(reasons) or '--force'}")
            with scratch_folder() as folder:
                onnx, fp16 = _typed_file(request, flavor, model, folder, progress)
                graph = source.graph.pop if source.graph else None
                name, digest = model.path.name, source.sha256
                job = BuildRequest(onnx, name, digest, profiles, flavor, request.options, key, fp16, graph)
                report = build(replace(job, refit_from=request.refit_from), target, progress)
    return BuildReport(target, report.sidecar, reasons=reasons)


def _profiles(
    request: EngineRequest, model: ModelSource, source: BuildSource, progress: Progress
) -> tuple[Profile, ...]:
    if request.profiles:
        profiles, origin = request.profiles, ""
    elif request.profile_images is not None:
        profiles = (profile_of_images(source.card, request.profile_images, request.max_batch or 1, progress),)
        origin = f"from {request.profile_images.source}"
    else:
        profile, origin = default_profile(model.recipe, source.fixed, request.max_batch)
        profiles = (profile,)
    divisor = 1 if source.card is None else source.card.image_divisor
    if origin:
        profiles = tuple(in_multiples(profile, divisor) for profile in profiles)
    check_fixed(profiles, source.fixed)
    check_divisor(profiles, divisor)
    if origin:
        progress.say(f"profile {profiles[0]} (N x H x W; {origin}; --min, --opt and --max set another)")
    return profiles


def _typed_file(
    request: EngineRequest, flavor: Flavor, model: ModelSource, folder: Path, progress: Progress
) -> tuple[Path, bool]:
    """Return the ONNX file whose types the engine takes, and whether FP16 is a flag of the builder (8.6)."""
    onnx = model.onnx_file()
    precision, fp16 = _rewrite_precision(request.precision, flavor)
    if precision is None:
        return onnx, fp16
    rewritten = folder / f"{model.path.stem}.{precision}.onnx"
    report = quantize(
        onnx,
        rewritten,
        precision=precision,
        calibration=request.calibration,
        method=request.method,
        keep=nodes_kept_in_float(request, model),
        progress=progress,
    )
    progress.say(_rewrite_note(report))
    return rewritten, fp16


def _rewrite_note(report: QuantizeReport) -> str:
    """Return what the images showed of the rewrite."""
    if report.agreement is None:
        return f"rewritten to {report.precision}; no images (--calib), so overflow and labels were not checked"
    share = report.agreement
    return (
        f"rewritten to {report.precision} with {report.images} images: labels as in FP32 at {share.fraction:.3%} of "
        f"{share.pixels} pixels"
    )


def _rewrite_precision(precision: Precision | None, flavor: Flavor) -> tuple[QuantizedPrecision | None, bool]:
    """Return the precision to rewrite the file to, None for none; and whether FP16 is a flag of the builder (8.6)."""
    if precision is None or precision == "fp32":
        return None, False
    if not flavor.traits.explicit_batch:
        return precision, False
    return ("int8" if precision != "fp16" else None), precision != "int8"
