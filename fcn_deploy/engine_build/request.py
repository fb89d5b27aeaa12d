"""Hold what an engine is built from and for, check it, and derive the key that says whether an engine is up to date."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.data.digests import frames_of
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.builder.build import built_for
from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.flavors import Flavor
from fcn_deploy.engine_build.source import BuildSource
from fcn_deploy.errors import EngineError
from fcn_deploy.quantization.calibration.images import open_images
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import Progress
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import Method, Precision, Profile

AS_IT_IS = "as the file has it"


@dataclass(frozen=True)
class EngineRequest:
    """Hold the arguments of `build_engine`, where they are explained, with their types settled."""

    source: str
    precision: Precision | None
    profiles: tuple[Profile, ...]
    profile_images: DataOptions | None
    max_batch: int | None
    flavor: str | None
    options: BuildOptions
    calibration: DataOptions | None
    method: Method
    keep: tuple[str, ...]
    force: bool


def check_together(request: EngineRequest) -> None:
    """Raise EngineError for an argument that would have no effect next to the others."""
    rewrites = request.precision not in (None, "fp32")
    if not rewrites and (request.calibration is not None or request.keep):
        given = "calibration images (--calib)" if request.calibration is not None else "nodes to keep (--keep)"
        raise EngineError(f"{given} go with a rewrite, and none is asked for; add --precision fp16, int8 or int8+fp16")
    if request.profiles and (request.profile_images is not None or request.max_batch is not None):
        given = "--profile-from" if request.profile_images is not None else "--max-batch"
        raise EngineError(f"{given} would have no effect beside --min, --opt and --max; leave one of them out")


def build_key(
    request: EngineRequest,
    flavor: Flavor,
    model: ModelSource,
    source: BuildSource,
    profiles: tuple[Profile, ...],
    progress: Progress,
) -> dict[str, Any]:
    """Return everything that the plan depends on, as plain data, in the words in which a difference is reported."""
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
    """Return what the ranges depend on: the images' pixels in any order, the method, and the nodes kept in float."""
    found: dict[str, Any] = {"method": request.method, "keep": list(nodes_kept_in_float(request, model))}
    if request.calibration is not None:
        dataset = open_images(card, request.calibration)
        frames = frames_of(dataset, on_error=request.calibration.on_error, progress=progress)
        found["images"] = hashlib.sha256("\n".join(sorted(frames.digests)).encode()).hexdigest()
        found["count"] = len(frames.digests)
    return found


def nodes_kept_in_float(request: EngineRequest, model: ModelSource) -> tuple[str, ...]:
    """Return the nodes to leave in float: those asked for and, for INT8, those that a recipe names."""
    if model.recipe is None or request.precision not in ("int8", "int8+fp16"):
        return request.keep
    return (*request.keep, *model.recipe.keep_float)
