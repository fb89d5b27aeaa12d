"""Hold what an engine is built from and for, check it, and derive the key that says whether an engine is up to date."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from fcn_deploy.audit.arithmetic import has_quantisation
from fcn_deploy.card import ModelCard
from fcn_deploy.data.digests import frames_of
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.builder.build import built_for, precision_of
from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.flavors import Flavor
from fcn_deploy.engine.sidecar import sidecar_path
from fcn_deploy.engine_build.profiles import DYNAMIC
from fcn_deploy.errors import EngineError, GraphError, OutputError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.sizes import FixedDims, fixed_dims, image_input
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.quantization.calibration.images import open_images
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import Progress
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import Method, Precision, Profile

AS_IT_IS = "as the file has it"
# What the weights of a file that is not FP32 are stored in, the narrowest first.
NARROW = {
    ir.DataType.INT8: "INT8",
    ir.DataType.FLOAT8E4M3FN: "FP8",
    ir.DataType.FLOAT16: "FP16",
    ir.DataType.BFLOAT16: "BF16",
}


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
    refit_from: Path | None = None


def check_together(request: EngineRequest) -> None:
    """Raise EngineError for an argument that would have no effect next to the others."""
    rewrites = request.precision not in (None, "fp32")
    if not rewrites and (request.calibration is not None or request.keep):
        given = "calibration images (--calib)" if request.calibration is not None else "nodes to keep (--keep)"
        raise EngineError(
            f"{given} go with a rewrite, and none is asked for; add --precision, such as fp16 or int8+fp16"
        )
    if request.profiles and (request.profile_images is not None or request.max_batch is not None):
        given = "--profile-from" if request.profile_images is not None else "--max-batch"
        raise EngineError(f"{given} would have no effect together with --min, --opt and --max; leave one of them out")


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
        "model card": None if source.card is None else hashlib.sha256(source.card.to_json().encode()).hexdigest(),
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
    """Return the nodes to leave in float: those asked for and, for INT8 and FP8, those that a recipe names."""
    if model.recipe is None or (request.precision or "").partition("+")[0] not in ("int8", "fp8"):
        return request.keep
    return (*request.keep, *model.recipe.keep_float)


@dataclass(frozen=True)
class BuildSource:
    """A model that is to become an engine.

    Attributes:
        sha256: of its files.
        card: None for a file without one. A recipe decides it apart from the checkpoint, so `sha256` does not cover it.
        fixed: dims of the image that the file fixes.
        graph: that of a file which is built as it is, for the builder to take out; else empty, because a graph is as
            large as its weights.
    """

    sha256: str
    card: ModelCard | None
    fixed: FixedDims
    graph: list[ir.Model] = field(default_factory=list)


def check_target(target: Path, model: ModelSource) -> None:
    """Raise OutputError if the engine, or a file next to it, would replace the model that it is built from."""
    for own in {Path(model.text), model.path}:
        for path in (target, sidecar_path(target)):
            if own.exists() and path.exists() and path.samefile(own):
                raise OutputError(f"{path} is the model itself, which the engine would replace; give -o another name")


def inspect_source(model: ModelSource, precision: str | None) -> BuildSource:
    """Read the source once.

    Args:
        precision: that the engine is asked to have; None for the file's own types.

    Raises:
        EngineError: it is an engine.
        GraphError, CheckpointError, RecipeError: it is not there, or cannot be read.
    """
    if model.kind == "engine":
        raise EngineError(f"{model.path} is an engine already; give the checkpoint or the .onnx file behind it")
    if model.kind != "onnx":
        digest = model.digest()[0]  # says what is wrong with a source that is not there
        return BuildSource(digest, model.card(), DYNAMIC)
    graph = load_graph(model.path)
    _check_precision(graph, model.path, precision)
    kept = [graph] if precision in (None, "fp32") else []
    return BuildSource(graph_digest(model.path, graph), find_card(graph, model.path), fixed_dims(graph), kept)


def _check_precision(graph: ir.Model, path: Path, precision: str | None) -> None:
    """Raise GraphError for a network without an image, or one that is not FP32 where FP32 is asked for."""
    image_input(graph)
    stored = {value.dtype for value in graph.graph.initializers.values()}
    narrow = [word for dtype, word in NARROW.items() if dtype in stored] or ["INT8"] * has_quantisation(graph)
    if precision == "fp32" and narrow:
        found = precision_of(graph, {narrow[0]: 1})
        raise GraphError(f"{path} is an {found} file; leave --precision out to build it so, or give the FP32 file")
