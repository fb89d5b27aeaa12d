"""Create ONNX Runtime sessions with the options that all of them have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.graph.cpu.memory import GraphMemory, Kernels
from fcn_deploy.graph.cpu.opening import for_kernels
from fcn_deploy.graph.precheck.stored_types import BF16, FP8, INT8, stored_types
from fcn_deploy.graph.session import ir_version_trouble, quiet_options, suit_types
from fcn_deploy.runners.ort.messages import reason_of
from fcn_deploy.system.environment import cpu_flags

# FP16 is computed in FP32.
KERNELS = Kernels(float_bytes=4)
FP8_NOTE = "no FP8 kernels on this device: values are rounded to FP8 and computed with in FP32"
# Each of these adds products of 8 bits in 32; without, x86-64 adds two of them in 16 first.
WIDE_SUMS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
OVERFLOW_NOTE = (
    "this processor has no VNNI: two 8-bit products are added in 16 bits, which overflow where they are near their "
    "largest; `fcn-deploy evaluate` shows what that costs"
)


def open_on_cpu(
    ort: ModuleType, path: Path, threads: int | None, wanted: str
) -> tuple[Any, tuple[str, ...], MemoryBudget]:
    """Return the session, notes, and what has to fit; what has no kernels, BF16 and FP8, is computed in FP32."""
    types = stored_types(path)
    if BF16 in types:
        from fcn_deploy.graph.cpu.bf16 import NOTE, rounded_in_fp32

        with rounded_in_fp32(path) as file:
            return create(ort, file, threads, [wanted]), (NOTE,), MemoryBudget(GraphMemory(path, KERNELS))
    model, notes = for_kernels(path)
    session = create(ort, path, threads, [wanted], model=model)
    notes = (*_notes_on_types(types), *notes)
    return session, notes, MemoryBudget(GraphMemory(model, KERNELS))


def _notes_on_types(types: frozenset[int]) -> Iterator[str]:
    """Yield what this CPU does otherwise with the types of a file's weights than one might think."""
    if types & FP8:
        yield FP8_NOTE
    if INT8 in types and "avx2" in (flags := cpu_flags()) and not flags & WIDE_SUMS:
        yield OVERFLOW_NOTE


def create(
    ort: ModuleType,
    path: Path,
    threads: int | None,
    providers: Sequence[Any] | None = None,
    *,
    model: Path | bytes | None = None,
    device: Any = None,
    texts: Mapping[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Any:
    """Return a session on `providers`, or on a plugin's `device` with its options.

    Args:
        model: what to open in place of the file at `path`.
        sizes: name of a dim -> its fixed size.
    """
    options = quiet_options(ort)
    suit_types(ort, options, path)
    for dim, size in (sizes or {}).items():
        options.add_free_dimension_override_by_name(dim, size)
    if threads is not None:
        options.intra_op_num_threads = threads
    # Threads that spin between two calls take the cores from whatever runs next: a PyTorch inference of 10 ms
    # measured right after an ONNX Runtime one took 200 ms. They may spin within a call, as ever.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A pattern of the first run's allocations is served as one block from the second run on, on top of what the first
    # took: a 1024x1024 inference of full-width FCN-8s then holds 2.5 GB in place of 1.5, and is no faster.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        if device is not None:
            options.add_provider_for_devices([device], dict(texts or {}))
        # Without enable_fallback=0 a provider that fails is replaced by the CPU with a printed remark.
        opened = model if isinstance(model, bytes) else str(path)
        return ort.InferenceSession(opened, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        from fcn_deploy.graph.load import load_graph  # reads with onnx, which ONNX Runtime does without

        load_graph(path)  # a damaged file gets the message that it gets everywhere
        reason = ir_version_trouble(str(error)) or f"onnxruntime cannot use it: {reason_of(error)}"
        raise GraphError(f"{path}: {reason}") from error
