"""From a model to an engine in one step: export it, rewrite its precision, build; or find that nothing has changed."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.data.digests import frames_of
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.builder.build import BuildReport, BuildRequest, build, built_for
from fcn_deploy.engine.builder.options import BuildOptions, check_options
from fcn_deploy.engine.flavors import Flavor, open_flavor
from fcn_deploy.engine.freshness import stale
from fcn_deploy.engine.gpus import gpus
from fcn_deploy.engine.sidecar import read_sidecar
from fcn_deploy.engine_build.profiles import check_fixed, of_images, usual
from fcn_deploy.engine_build.source import BuildSource, check_apart, look
from fcn_deploy.errors import EngineError, UnknownNameError
from fcn_deploy.quantization.calibration.images import open_images
from fcn_deploy.quantization.quantize import QuantizeReport, quantize
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import check_writable
from fcn_deploy.system.lock import building
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import PRECISIONS, Method, Precision, Profile, QuantizedPrecision

AS_IT_IS = "as the file has it"


@dataclass(frozen=True)
class EngineRequest:
    """What to build.

    Attributes:
        source: an .onnx file, a checkpoint, a recipe or "demo".
        precision: None takes the file's types as they are; "fp32" refuses a file that has others.
        profiles: () asks the images of `profile_images`, else the recipe, else takes the default.
        max_batch: largest N where the profile is not written out.
        calibration: images for INT8, and for the overflow check of FP16.
        method, keep: as for `quantize`.
        force: build even if nothing has changed.
    """

    source: str
    precision: Precision | None = None
    profiles: tuple[Profile, ...] = ()
    profile_images: DataOptions | None = None
    max_batch: int | None = None
    flavor: str | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    calibration: DataOptions | None = None
    method: Method = "mse"
    keep: tuple[str, ...] = ()
    force: bool = False


def build_engine(request: EngineRequest, target: Path, progress: Progress = SILENT) -> BuildReport:
    """Build `target` and the JSON beside it, unless they are there and of the same key.

    Raises:
        UnknownNameError: no such precision, flavor or node.
        EngineError, MissingDependencyError: from the builder; see `engine.build.build`.
        GraphError, CheckpointError, RecipeError, ExportError: the source cannot be read, exported or rewritten.
        DataError: there are no calibration images where INT8 needs them, or they cannot be used.
        OutputError: the engine cannot be written.
    """
    if request.precision not in (None, *PRECISIONS):
        raise UnknownNameError.of("precision", str(request.precision), PRECISIONS)
    _check_together(request)
    flavor = open_flavor(request.flavor)
    check_options(flavor, request.options, bool(gpus()))
    check_writable(target)
    with ModelSource(request.source, progress) as model:
        check_apart(target, model)
        source = look(model, request.precision)
        profiles = _profiles(request, model, source, progress)
        key = _key(request, flavor, model, source, profiles, progress)
        with building(target, progress):
            reasons = stale(target, key)
            if not reasons and not request.force:
                return BuildReport(target, read_sidecar(target), built=False)
            _say_why(reasons, target, request.force, progress)
            report = _build(request, flavor, model, source, profiles, key, target, progress)
    return BuildReport(target, report.sidecar, reasons=reasons)


def _check_together(request: EngineRequest) -> None:
    """Raise EngineError for what would have no effect beside the rest."""
    rewrites = request.precision not in (None, "fp32")
    if not rewrites and (request.calibration is not None or request.keep):
        given = "calibration images (--calib)" if request.calibration is not None else "nodes to keep (--keep)"
        raise EngineError(f"{given} go with a rewrite, and none is asked for; add --precision fp16, int8 or int8+fp16")
    if request.profiles and (request.profile_images is not None or request.max_batch is not None):
        given = "--profile-from" if request.profile_images is not None else "--max-batch"
        raise EngineError(f"{given} would have no effect beside --min, --opt and --max; leave one of them out")


def _profiles(
    request: EngineRequest, model: ModelSource, source: BuildSource, progress: Progress
) -> tuple[Profile, ...]:
    if request.profiles:
        profiles, origin = request.profiles, ""
    elif request.profile_images is not None:
        profiles = (of_images(source.card, request.profile_images, request.max_batch or 1, progress),)
        origin = f"from {request.profile_images.source}"
    else:
        profile, origin = usual(model.recipe, source.fixed, request.max_batch)
        profiles = (profile,)
    check_fixed(profiles, source.fixed)
    if origin:
        progress.say(f"profile {profiles[0]} (N x H x W; {origin}; --min, --opt and --max set another)")
    return profiles


def _key(
    request: EngineRequest,
    flavor: Flavor,
    model: ModelSource,
    source: BuildSource,
    profiles: tuple[Profile, ...],
    progress: Progress,
) -> dict[str, Any]:
    """All that the plan follows from, as plain data, in the words in which a difference is told."""
    target = built_for(flavor, request.options)
    options = {name: value for name, value in request.options.asked().items() if name not in ("sm", "timing_cache")}
    key: dict[str, Any] = {
        "model": source.sha256,
        "model card": source.card_sha256,
        "precision": request.precision or AS_IT_IS,
        "library": f"{flavor.name} {flavor.version}",
        "built for": list(target.sm),
        "profiles": [str(profile) for profile in profiles],
        "options": options,
    }
    if request.precision not in (None, "fp32"):
        key["calibration"] = _calibration(request, model, source.card, progress)
        key["rewritten by"] = f"fcn-deploy {__version__}"
    return key


def _calibration(
    request: EngineRequest, model: ModelSource, card: ModelCard | None, progress: Progress
) -> dict[str, Any]:
    """What decides the ranges: the images' pixels in any order, the method, and the nodes kept in float."""
    found: dict[str, Any] = {"method": request.method, "keep": list(_kept(request, model))}
    if request.calibration is not None:
        dataset = open_images(card, request.calibration)
        frames = frames_of(dataset, on_error=request.calibration.on_error, progress=progress)
        found["images"] = hashlib.sha256("\n".join(sorted(frames.digests)).encode()).hexdigest()
        found["count"] = len(frames.digests)
    return found


def _kept(request: EngineRequest, model: ModelSource) -> tuple[str, ...]:
    """Nodes to leave in float: those asked for and, for INT8, those that a recipe names."""
    if model.recipe is None or request.precision not in ("int8", "int8+fp16"):
        return request.keep
    return (*request.keep, *model.recipe.keep_float)


def _say_why(reasons: tuple[str, ...], target: Path, force: bool, progress: Progress) -> None:
    """Why an engine that stands there is built again; of one that does not there is nothing to say."""
    if target.exists():
        why = "; ".join(reasons) if reasons else "--force" if force else ""
        progress.say(f"building {target.name} again: {why}")


def _build(
    request: EngineRequest,
    flavor: Flavor,
    model: ModelSource,
    source: BuildSource,
    profiles: tuple[Profile, ...],
    key: dict[str, Any],
    target: Path,
    progress: Progress,
) -> BuildReport:
    with tempfile.TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True) as folder:
        onnx = model.onnx_file()
        rewrite, fp16 = _rewrite(request.precision, flavor)
        if rewrite is not None:
            rewritten = Path(folder) / f"{model.path.stem}.{rewrite}.onnx"
            report = quantize(
                onnx,
                rewritten,
                precision=rewrite,
                calibration=request.calibration,
                method=request.method,
                keep=_kept(request, model),
                progress=progress,
            )
            progress.say(_rewritten(report))
            onnx = rewritten
        graph = source.graph.pop if source.graph else None
        name, digest = model.path.name, source.sha256
        job = BuildRequest(onnx, name, digest, profiles, flavor, request.options, key, fp16, graph)
        return build(job, target, progress)


def _rewritten(report: QuantizeReport) -> str:
    """What the images showed of the rewrite."""
    if report.agreement is None:
        return f"rewritten to {report.precision}; no images (--calib), so overflow and labels were not checked"
    share = report.agreement
    return (
        f"rewritten to {report.precision} with {report.images} images: labels as in FP32 at {share.fraction:.3%} of "
        f"{share.pixels} pixels"
    )


def _rewrite(precision: Precision | None, flavor: Flavor) -> tuple[QuantizedPrecision | None, bool]:
    """The precision to rewrite the file to, None for none; and whether FP16 is a flag of the builder (8.6)."""
    if precision is None or precision == "fp32":
        return None, False
    if not flavor.traits.explicit_batch:
        return precision, False
    return ("int8" if precision != "fp16" else None), precision != "int8"
