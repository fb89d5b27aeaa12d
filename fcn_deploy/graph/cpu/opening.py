"""Choose what a runtime on a CPU opens for a file; a file without upsampling loads nothing but this module."""

from __future__ import annotations

from pathlib import Path

from fcn_deploy.errors import FcnDeployError

# Of a larger network the upsampling is a small part, and reading it takes a while.
MOST_BYTES = 64 << 20
LEAST_OPSET = 13  # Squeeze takes its axes as an input


def for_kernels(path: Path) -> tuple[Path | bytes, tuple[str, ...]]:
    """Return what a runtime on a CPU should open for the file, and a note.

    That is the path itself, without a note, where nothing is rewritten: of a large file, one with weights in other
    files, one that cannot be read, of which the runtime's own message says more, and where onnx is not installed.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
        return _rewritten(path) if b"ConvTranspose" in data else (path, ())
    except (OSError, ImportError, FcnDeployError):
        return path, ()


def _rewritten(path: Path) -> tuple[Path | bytes, tuple[str, ...]]:
    import onnx_ir as ir

    from fcn_deploy.graph.cpu.subpixel import upsample_by_phases
    from fcn_deploy.graph.load import load_graph

    model = load_graph(path)
    external = any(isinstance(value.const_value, ir.ExternalTensor) for value in model.graph.initializers.values())
    if external or model.opset_imports.get("", 0) < LEAST_OPSET or not (names := upsample_by_phases(model)):
        return path, ()
    note = f"{', '.join(names)}: computed as a convolution with a channel per output phase, up to the order of sums"
    return ir.to_proto(model).SerializeToString(), (note,)
