"""What ONNX Runtime's GPU providers take in addition to the graph: the device, optimization profiles and a cache.

Names and formats: onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html and
TensorRTRTX-ExecutionProvider.html, and tensorrt_rtx_provider_options.h of the package onnxruntime-ep-nv-tensorrt-rtx.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.errors import GraphError, OutputError, RunnerError, ShapeError
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import Profile, Shape, shape_text

CUDA, TENSORRT, RTX = "cuda", "tensorrt", "nvtensorrtrtx"
PREFIX = {TENSORRT: "trt", RTX: "nv"}  # of a provider's option names
# What can be asked of which; of the others, nothing.
ASKABLE = {
    "device_id": (CUDA, TENSORRT, RTX),
    "profiles": (TENSORRT, RTX),
    "cache": (TENSORRT, RTX),
    "fixed_shapes": ("cpu", CUDA),
    "options": (CUDA, TENSORRT, RTX),
}
FP16_NOTE = (
    "the provider's network is weakly typed: with FP16 in the file, TensorRT may compute any node in FP16, those that "
    "were kept in FP32 too"
)


@dataclass(frozen=True)
class ProviderOptions:
    """What a user may ask of a GPU provider.

    Attributes:
        device_id: CUDA's number of the GPU.
        profiles: ranges of N, H, W to build for; none leaves the choice to the provider, which rebuilds or falls back
            to general kernels as shapes come. The tensorrt provider runs one profile alone.
        cache: a folder for built engines, timings and kernels; None keeps nothing.
        fixed_shapes: how many shapes that come again may have a session of their own, with weights and memory of its
            own, in which sizes are fixed; on a GPU it is a CUDA graph. None is `runners.repeats.CAPACITY` on cuda, and
            none elsewhere.
        options: onnxruntime's own names and texts for the provider, which go before what is chosen otherwise.
    """

    device_id: int = 0
    profiles: tuple[Profile, ...] = ()
    cache: Path | None = None
    fixed_shapes: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphFacts:
    """What the options follow from.

    Attributes:
        image: the input's name; channels_first: whether it is [N, 3, H, W] and not [N, H, W, 3].
        half, quantised: whether it holds FP16, QuantizeLinear or DequantizeLinear.
        files: the file and those that hold its weights.
    """

    image: str
    channels_first: bool
    half: bool
    quantised: bool
    files: tuple[Path, ...]

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Return the input's dims for (N, H, W)."""
        batch, height, width = shape
        return (batch, 3, height, width) if self.channels_first else (batch, height, width, 3)


def provider_option_texts(provider: str, path: Path, asked: ProviderOptions) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return options as onnxruntime takes them, and notes.

    A provider of the CUDA family always gets its `device_id`: without any option the TensorRT provider would obey
    environment variables (ORT_TENSORRT_FP16_ENABLE and others).

    Raises:
        RunnerError: the provider does not have what was asked for.
        GraphError: the file cannot be read.
        OutputError: the cache folder cannot be made.
    """
    _refuse(provider, asked)
    texts = {"device_id": str(asked.device_id)} if provider in ASKABLE["device_id"] else {}
    if provider not in PREFIX:
        return texts | dict(asked.options), ()
    facts = read_facts(path)
    texts |= _profile_texts(provider, facts, asked.profiles)
    if asked.cache is not None:
        texts |= _cache_texts(provider, _cache_folder(asked.cache, facts.files, asked.profiles))
    if provider == RTX:
        return texts | dict(asked.options), ()
    return texts | _type_texts(facts) | dict(asked.options), (FP16_NOTE,) if facts.half else ()


def _refuse(provider: str, asked: ProviderOptions) -> None:
    for name, providers in ASKABLE.items():
        if getattr(asked, name) and provider not in providers:
            raise RunnerError(f"onnxruntime's {provider} provider takes no {name}; {', '.join(providers)} do")
    if "enable_cuda_graph" in asked.options:
        raise RunnerError(
            "enable_cuda_graph holds for a session of one shape; say with fixed_shapes how many shapes may have one"
        )
    if asked.device_id < 0:
        raise RunnerError(f"device_id {asked.device_id} is no GPU; they are counted from 0")
    if provider == TENSORRT and len(asked.profiles) > 1:
        raise RunnerError(
            f"onnxruntime's tensorrt provider runs one profile and {len(asked.profiles)} are given; give one that "
            "spans them, or use onnxruntime:nvtensorrtrtx or an engine"
        )


def profile_index(name: str, profiles: Sequence[Profile], shape: Shape) -> int:
    """Return the first profile that holds (N, H, W); a provider given a shape outside would build again.

    Raises:
        ShapeError: there is none; the message starts with `name`.
    """
    index = next((index for index, profile in enumerate(profiles) if profile.accepts(shape)), None)
    if index is None:
        listed = "; ".join(map(str, profiles))
        raise ShapeError(f"{name}: {shape_text(shape)} lies in none of the profiles: {listed}")
    return index


def profile_options(name: str, profiles: Sequence[Profile], shape: Shape) -> Any:
    """Return onnxruntime's options for a run of (N, H, W), None where it needs none; ShapeError as `profile_index`."""
    index = profile_index(name, profiles, shape) if profiles else 0
    if len(profiles) < 2:
        return None
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("nv_profile_index", str(index))
    return options


def read_facts(path: Path) -> GraphFacts:
    """Read them from the file; GraphError if it is not ONNX."""
    import onnx_ir as ir

    from fcn_deploy.audit.arithmetic import has_quantisation
    from fcn_deploy.graph.load import load_graph
    from fcn_deploy.graph.weights import graph_files

    model = load_graph(path)
    image = model.graph.inputs[0]
    if image.shape is None or len(image.shape) != 4:
        raise GraphError(f"{path}: its first input, {image.name}, is no image batch of four dims; profiles need one")
    stored = [value.dtype for value in model.graph.initializers.values()]
    casts = [node.attributes["to"].as_int() for node in model.graph if node.op_type == "Cast"]
    half = ir.DataType.FLOAT16 in (*stored, *casts, image.dtype)
    channels_first = image.dtype != ir.DataType.UINT8
    return GraphFacts(str(image.name), channels_first, half, has_quantisation(model), graph_files(path, model))


def _profile_texts(provider: str, facts: GraphFacts, profiles: Sequence[Profile]) -> dict[str, str]:
    """ "image:1x64x64x3" for min, opt and max; several profiles are several shapes of the same input."""
    if not profiles:
        return {}
    prefix = PREFIX[provider]
    texts = {
        f"{prefix}_profile_{bound}_shapes": ",".join(
            f"{facts.image}:{shape_text(facts.dims(getattr(profile, bound)))}" for profile in profiles
        )
        for bound in ("min", "opt", "max")
    }
    return texts | ({"nv_multi_profile_enable": "1"} if len(profiles) > 1 else {})


def _cache_texts(provider: str, folder: Path) -> dict[str, str]:
    if provider == RTX:
        return {"nv_runtime_cache_path": str(folder)}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }


def _cache_folder(cache: Path, files: Sequence[Path], profiles: Sequence[Profile]) -> Path:
    """Return a folder of its own for each file and choice of profiles.

    The provider names a cached engine after the nodes of the graph, not after its weights: after another training
    run it would load the old engine and give the old masks.
    """
    from fcn_deploy.graph.weights import catch_weight_errors

    with catch_weight_errors(files[0]):
        parts = [*map(sha256, files), *map(str, profiles)]
    key = hashlib.sha256("\n".join(parts).encode())
    folder = cache / key.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the cache folder {folder} cannot be made: {error.strerror}") from error
    return folder


def _type_texts(facts: GraphFacts) -> dict[str, str]:
    """Allow the narrow types that the file has, and no others.

    A weakly typed network needs the flag of each: without INT8's a file with Q/DQ fails to build
    (github.com/microsoft/onnxruntime/issues/13381).
    """
    texts = {"trt_fp16_enable": "1"} if facts.half else {}
    return texts | ({"trt_int8_enable": "1"} if facts.quantised else {})
