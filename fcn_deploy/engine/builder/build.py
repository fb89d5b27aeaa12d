"""Build an engine from a typed ONNX file: check it, compile it in a child process, compare the result with the file.

The engine is the library's plain plan, which NVIDIA's own tools load; everything else is in the JSON file next to it.
"""

from __future__ import annotations

import gc
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from fcn_deploy.audit.audit import Audit, audit
from fcn_deploy.card import ModelCard
from fcn_deploy.engine.builder.compile import Compiled, CompileJob, compile_in_child
from fcn_deploy.engine.builder.layers import compare_precision
from fcn_deploy.engine.builder.maxima import check_maxima
from fcn_deploy.engine.builder.options import CURRENT, BuildOptions, check_options
from fcn_deploy.engine.builder.type_support import check_types, lacking_portable
from fcn_deploy.engine.flavors import PORTABLE_GPUS, Flavor, runs_portable
from fcn_deploy.engine.gpus import gpus, own_sm
from fcn_deploy.engine.sidecar import PORTABLE, BuiltFor, Sidecar, sidecar_path
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.load import PRECISION_KEY, find_card, load_graph
from fcn_deploy.graph.macs import OPERANDS
from fcn_deploy.graph.sizes import graph_inputs, image_axes, image_input
from fcn_deploy.system.files import atomic_path
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Profile

FINDINGS_SHOWN = 3


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        onnx: the file whose types say what is computed in which precision.
        name, sha256: of the file that the user gave, which `onnx` was perhaps made from; for the sidecar.
        key: for the sidecar; see there.
        fp16: FP16 on a library without typed networks (TensorRT 8.6), for the FP32 graph.
        refit_from: an engine whose weights are exchanged in place of building.
        graph: gives the graph of `onnx` where it was read already, and keeps nothing of it; None reads the file.
    """

    onnx: Path
    name: str
    sha256: str
    profiles: tuple[Profile, ...]
    flavor: Flavor
    options: BuildOptions = field(default_factory=BuildOptions)
    key: Mapping[str, Any] = field(default_factory=dict)
    fp16: bool = False
    graph: Callable[[], ir.Model] | None = None
    refit_from: Path | None = None


@dataclass(frozen=True)
class BuildReport:
    """The engine that exists now.

    Attributes:
        built: False if the engine was up to date. reasons: why it was built.
    """

    path: Path
    sidecar: Sidecar
    built: bool = True
    reasons: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return what was done and why, and the sidecar as its file has it."""
        sidecar = json.loads(self.sidecar.to_json())
        return {"path": str(self.path), "built": self.built, "reasons": list(self.reasons), **sidecar}


def build(request: BuildRequest, target: Path, progress: Progress = SILENT) -> BuildReport:
    """Build `target` and its sidecar; neither appears unless both are whole.

    Raises:
        GraphError: the file is no ONNX network with an image input, or the preflight finds what TensorRT would reject.
        EngineError: options or profiles that cannot be, a file that the library rejects, or a build that fails.
        OutputError: the engine cannot be written.
    """
    has_gpu = bool(gpus())
    check_options(request.flavor, request.options, has_gpu)
    model = load_graph(request.onnx) if request.graph is None else request.graph()
    found = _audit(request, model)
    check_types(request.flavor, request.options, {} if found is None else found.totals, own_sm())
    check_maxima(model, request.profiles, progress)
    image, axes = _image(model, request.name)
    with atomic_path(target) as temporary:
        job = CompileJob(
            onnx=request.onnx,
            plan=temporary,
            image=image,
            axes=axes,
            profiles=request.profiles,
            options=request.options,
            fp16=request.fp16 or (found is not None and "FP16" in found.totals),
            int8=found is not None and "INT8" in found.totals,
            refit_from=request.refit_from,
        )
        card, precision = find_card(model, request.onnx), precision_of(model, {} if found is None else found.totals)
        del model  # as large as its weights, and the builder needs room for its own
        gc.collect()
        compiled, peak = compile_in_child(request.flavor.name, job, progress)
        sidecar = _sidecar(request, card, precision, found, compiled, peak)
        sidecar_path(temporary).write_text(sidecar.to_json() + "\n", encoding="utf-8")
    for line in _remarks(request, sidecar, compiled):
        progress.say(line)
    return BuildReport(target, sidecar)


def _image(model: ir.Model, name: str) -> tuple[str, tuple[int, int, int]]:
    """Name of the image input and its axes of N, H and W; GraphError if the network takes anything else."""
    value = image_input(model)
    others = [str(other.name) for other in graph_inputs(model) if other is not value]
    if others:
        raise GraphError(f"{name} takes {', '.join(others)} besides the image {value.name}; expected the image alone")
    axes = image_axes(value)
    assert axes is not None
    return str(value.name), axes


def _audit(request: BuildRequest, model: ir.Model) -> Audit | None:
    """Return what the file promises at the first profile's usual size; None where nothing in it multiplies and adds.

    Raises:
        GraphError: an error of the preflight, or profiles that the file's fixed dims do not allow.
    """
    if not model.functions and not any(node.op_type in OPERANDS for node in model.graph):
        return None
    batch, height, width = request.profiles[0].opt
    found = audit(request.onnx, batch=batch, height=height, width=width, model=model)
    errors = [finding for finding in found.findings if finding.level == "error"]
    if errors:
        first = errors[0]
        names = ", ".join(first.names[:FINDINGS_SHOWN]) + (", ..." if len(first.names) > FINDINGS_SHOWN else "")
        more = f" ({len(errors) - 1} more: fcn-deploy audit)" if len(errors) > 1 else ""
        raise GraphError(f"{request.name}: {names}: {first.problem}; {first.fix}{more}".replace(": : ", ": "))
    return found


def precision_of(model: ir.Model, totals: Mapping[str, int]) -> str:
    """Return what a file's types amount to: what the rewrite wrote down, else by the types of its arithmetic."""
    noted = model.metadata_props.get(PRECISION_KEY)
    if noted is not None:
        return noted
    kinds = {"INT8": "int8", "FP8": "fp8", "FP16": "fp16", "BF16": "bf16", "FP32": "fp32"}
    if not totals or set(totals) - set(kinds):
        return "typed"
    words = [word for kind, word in kinds.items() if kind in totals]
    return "fp32" if words == ["fp32"] else "+".join(word for word in words if word != "fp32")


def _sidecar(
    request: BuildRequest,
    card: ModelCard | None,
    precision: str,
    found: Audit | None,
    compiled: Compiled,
    peak_bytes: int,
) -> Sidecar:
    count = len(request.profiles)
    return Sidecar(
        flavor=request.flavor.name,
        version=request.flavor.version,
        platform=f"{platform.system().lower()} {platform.machine().lower()}",
        built_for=built_for(request.flavor, request.options),
        plan_sha256=compiled.plan_sha256,
        plan_bytes=compiled.plan_bytes,
        onnx_name=request.name,
        onnx_sha256=request.sha256,
        precision="fp16" if request.fp16 and precision == "fp32" else precision,
        inputs=compiled.inputs,
        outputs=compiled.outputs,
        profiles=request.profiles,
        # by profile, where the library reports each one's and not only their sum, or nothing
        activation_bytes=compiled.activation_bytes if len(compiled.activation_bytes) == count else (None,) * count,
        card=card,
        layers=compiled.layers,
        shares=None if found is None or not compiled.layers else compare_precision(found, compiled.layers),
        options=request.options.asked(),
        key=request.key,
        seconds=compiled.seconds,
        peak_bytes=peak_bytes,
    )


def built_for(flavor: Flavor, options: BuildOptions) -> BuiltFor:
    """Return where the plan will run; the names of this machine's first GPU and its driver if there is one."""
    gpu = next(iter(gpus()), None)
    own = () if gpu is None else (gpu.sm,)
    named = tuple(dict.fromkeys(own[0] if sm == CURRENT and own else sm for sm in options.sm))
    sm = named or ((PORTABLE,) if flavor.traits.names_targets else own)
    return BuiltFor(sm) if gpu is None else BuiltFor(sm, gpu.name, gpu.driver)


def _remarks(request: BuildRequest, sidecar: Sidecar, compiled: Compiled) -> list[str]:
    """Return what a user should see of a build that succeeded. Without typed networks the builder is free to choose."""
    lines = [f"warning: the builder says: {text}" for text in compiled.warnings]
    typed = not request.flavor.traits.explicit_batch
    if typed and sidecar.shares is not None and sidecar.shares.disagreements:
        odd = sidecar.shares.disagreements
        turing = "SM75" in sidecar.built_for.sm and any(": INT8 in the file" in line for line in odd)
        hint = f"; {request.flavor.name} has no INT8 for SM75: --flavor tensorrt has" if turing else ""
        lines.append(
            f"WARNING: {len(odd)} layers were not built in the type that the file asks for; first {odd[0]}{hint}"
        )
    if sidecar.built_for.sm == (PORTABLE,) and (
        old := lacking_portable(sidecar.shares.promised if sidecar.shares else ())
    ):
        lines.append(f"warning: FP8 needs compute capability 8.9 or later: the plan is not for {old}")
    gpu = next(iter(gpus()), None)
    if gpu is not None and sidecar.built_for.sm == (PORTABLE,) and not runs_portable(gpu.sm):
        lines.append(
            f"WARNING: the engine does not run on this machine's {gpu.name}, {gpu.sm}, but on {PORTABLE_GPUS}; "
            "--flavor tensorrt builds for this GPU"
        )
    return lines
