"""A PyTorch network as an ONNX graph: float32[N, 3, H, W] -> logits, opset 17, dynamic N, H and W, named nodes."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import onnx_ir as ir

from fcn_deploy.errors import ExportError, first_line
from fcn_deploy.onnx_export.passes import lower_opset, merge_slices, name_after_modules

if TYPE_CHECKING:
    import torch
    from torch import nn

EXPORTER_OPSET = 18
# Odd, unequal sides: the exporter may take a side that divides by the stride for a constant.
EXAMPLE_SHAPE = (2, 3, 65, 97)


def trace(model: nn.Module) -> ir.Model:
    """Export `model` (in evaluation mode) as it is: input `x`, output `logits`, weights under their state-dict names.

    The weights are not copied; the graph refers to the module's own tensors.

    Raises:
        ExportError: the exporter failed (its reason is quoted), or the graph needs more than opset 17.
    """
    import torch

    try:
        with _quiet():
            program = torch.onnx.export(
                _capture(model),
                dynamo=True,
                opset_version=EXPORTER_OPSET,
                input_names=["x"],
                output_names=["logits"],
                optimize=False,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(f"torch.onnx could not export the model: {_first_cause(error)}") from error
    if program is None:
        raise ExportError("torch.onnx returned no program")
    graph: ir.Model = program.model
    _simplify(graph)
    merge_slices(graph)
    lower_opset(graph)
    name_after_modules(graph, frozenset(model.state_dict()))
    return graph


def _capture(model: nn.Module) -> torch.export.ExportedProgram:
    """Return the network's operators for N, H and W as symbols.

    `Dim.AUTO`: pooling and crops compare sides, and a named dimension would be refused for what those comparisons found
    of the example's (PyTorch 2.6 to 2.11). A side that were taken for a constant does not pass the proof.
    """
    import torch

    sides = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    return torch.export.export(model, (torch.zeros(EXAMPLE_SHAPE),), dynamic_shapes=(sides,), strict=False)


def _simplify(model: ir.Model) -> None:
    """Fold constants and drop what nothing uses; batch norms stay, so that every weight keeps its own name."""
    from onnx_ir.passes import common
    from onnxscript import optimizer

    with _quiet():
        optimizer.fold_constants(model, onnx_shape_inference=False)
        for one_pass in (
            common.IdentityEliminationPass(),
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            common.CommonSubexpressionEliminationPass(),
            common.RemoveUnusedNodesPass(),
        ):
            one_pass(model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Yield the exporter prints and warns about its own business; its errors arrive as exceptions all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_cause(error: BaseException) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: {first_line(cause)}"
