"""Write and read the weights of a graph inside the file or next to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fcn_deploy.errors import GraphError, MissingDependencyError, OutputError
from fcn_deploy.graph.session import newest_ir_version
from fcn_deploy.system.files import output_error

# A protobuf message cannot exceed 2 GiB; larger weights go into a file next to it. Some room is left for the graph.
INLINE_LIMIT_BYTES = 2_000_000_000
# Every ONNX Runtime that this package runs with reads this IR version.
READ_BY_ALL = 10
PIECE = 1 << 20  # elements that are looked at at a time


def weights_bytes(model: ir.Model) -> int:
    """Return bytes of all initializers."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def save_graph(model: ir.Model, path: Path) -> str | None:
    """Write the file in an IR version that the installed ONNX Runtime reads.

    Returns:
        The name of the external data next to it, if the weights need one.
    """
    lower_ir_version(model)
    data_name = f"{path.name}.data" if weights_bytes(model) > INLINE_LIMIT_BYTES else None
    if data_name is None:  # weights read from next to another file would keep the name that they have there
        ir.external_data.load_to_model(model)
    ir.save(model, path, external_data=data_name)
    return data_name


def lower_ir_version(model: ir.Model) -> None:
    """Give the model an IR version that the installed ONNX Runtime reads; nothing else of it depends on the number."""
    if model.ir_version > READ_BY_ALL:
        with suppress(MissingDependencyError):
            model.ir_version = min(model.ir_version, newest_ir_version())


@contextmanager
def catch_write_errors(folder: Path) -> Iterator[None]:
    """Turn errors of writing a graph to a temporary folder into OutputError, which names the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{output_error(folder, error)} for temporary files (TMPDIR)") from error


def follow_links(model: ir.Model, files: Mapping[str, Path]) -> None:
    """Point weights that lie behind a link, or in a file of several names, to the file itself; onnx_ir refuses both.

    Args:
        files: what `scan` returned: the files are checked.
    """
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if not isinstance(tensor, ir.ExternalTensor):
                continue
            file = files[str(tensor.location)]
            if file.stat().st_nlink > 1 or file != Path(tensor.path).absolute():
                value.const_value = ir.ExternalTensor(
                    file, tensor.offset, tensor.length, tensor.dtype,
                    shape=ir.Shape(tensor.shape), name=tensor.name, base_dir="",
                )  # fmt: skip


@contextmanager
def catch_weight_errors(path: Path) -> Iterator[None]:
    """Turn external data that is missing or cut, which shows when a weight is first read, into GraphError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise GraphError(
            f"{path}: its external data cannot be read ({error}); the data file must be next to it, whole"
        ) from error


def graph_files(path: Path, model: ir.Model) -> tuple[Path, ...]:
    """Return the file that `model` was read from, then those of its external data, sorted."""
    tensors = [value.const_value for graph in model.graphs() for value in graph.initializers.values()]
    return path, *sorted({Path(tensor.path) for tensor in tensors if isinstance(tensor, ir.ExternalTensor)})


def is_finite(tensor: ir.TensorProtocol) -> bool:
    """Return whether a tensor holds neither NaN nor infinity; it is read in pieces."""
    if not tensor.dtype.is_floating_point():
        return True
    numbers = tensor.numpy().reshape(-1)
    pieces = (numbers[start : start + PIECE] for start in range(0, numbers.size, PIECE))
    return all(bool(np.isfinite(piece).all()) for piece in pieces)
