"""Say in which types a row really computed, which is not always what its file holds.

A runner may take the values of a quantised file back to float, and a CPU without FP16 kernels computes in FP32. What
ran is known where the runner lists its layers (OpenVINO), where the builder did (engines), of PyTorch, which is asked
for a type, and of FP16 on x86 in ONNX Runtime, which has no kernels for it. Of the rest it is not.
"""

from __future__ import annotations

from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.benchmark.runner_specs import RunnerSpec, parse_spec
from fcn_deploy.errors import UnknownNameError
from fcn_deploy.runners.registry import RUNNERS, device_of

# What OpenVINO's runner notes of its compiled network.
LAYERS = "layers that multiply: "
# Types that a PyTorch network may be converted to, as a runner's name has them.
NARROW = ("fp16", "bf16")


def spec_of(row: Row) -> RunnerSpec:
    """Parse the row's name; a runner that this version does not know is taken as one without a precision."""
    try:
        return parse_spec(row.runner)
    except UnknownNameError:
        return RunnerSpec(row.runner, row.runner)


def without_fp16_kernels(record: Record, row: Row) -> bool:
    """Whether the row ran FP16 where its runner computes in FP32: on an x86 processor."""
    spec = spec_of(row)
    line = RUNNERS.get(spec.runner.partition(":")[0])
    on_x86 = str(record.environment.get("system", "")).endswith(("x86_64", "AMD64"))
    return bool(
        line and not line.fp16_on_x86 and spec.precision == "fp16" and device_of(spec.runner) == "cpu" and on_x86
    )


def computed_in(record: Record, row: Row) -> str | None:
    """Return the types that ran: "13 layers in INT8, 6 in BF16", "FP32"; None where it is not known, or nothing ran."""
    if row.status != "ok":
        return None
    spec = spec_of(row)
    if without_fp16_kernels(record, row):
        return "FP32"
    if listed := next((note.removeprefix(LAYERS) for note in row.notes if note.startswith(LAYERS)), ""):
        return f"layers: {listed}"
    line = RUNNERS.get(spec.runner.partition(":")[0])
    if line is None:
        return None
    if line.opens == "network":
        narrow = [part for part in spec.runner.split(":") if part in NARROW]
        tf32 = device_of(spec.runner) == "cuda" and (record.environment.get("torch") or {}).get("cudnn_tf32")
        return narrow[0].upper() if narrow else "FP32" + (", convolutions in TF32 (cuDNN)" if tf32 else "")
    return "as the builder lists" if line.opens == "engine" and row.built is not None and row.built.shares else None
