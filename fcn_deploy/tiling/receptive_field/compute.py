"""Compute the receptive field of a segmentation graph's labels, and where an image may be cut without effect on them.

A window of the image is followed through the graph, node by node, as two ranges of indices for each tensor (rows and
columns): those whose values are the whole image's. What is lost of the labels at each side is the halo. Pools that
round up, crops, paddings of 100 and skips move the ranges as they move the data. Windows must start at multiples of the
total stride, or pools and strides would see other groups of pixels.

A true border of the image costs nothing: there, window and whole image meet the same padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError, restated
from fcn_deploy.graph.contract_io import graft_contract
from fcn_deploy.graph.sizes import ImageSize, image_axes, image_input, tensor_sizes
from fcn_deploy.model_file import kind_of
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.tiling.receptive_field.rules import propagate
from fcn_deploy.tiling.receptive_field.spatial_axes import NotUniform, SpatialAxes, ValidRange

# Far larger than any receptive field, and a multiple of every total stride up to 8192 times 3, 5 and 7.
PROBE = 8192 * 105

# Tensors above this are weights, of which only the shape affects what a label sees; those below may be sizes and pads.
WEIGHTS_BYTES = 1 << 16
# Channels change nothing about which pixels a label sees, so the network is built as thin as it can be.
THIN = 0.05


@dataclass(frozen=True)
class Halo:
    """Rows (or columns) of a window's labels that its own border may have changed: at its beginning, at its end."""

    before: int
    after: int

    @property
    def sum(self) -> int:
        return self.before + self.after


class ReceptiveField:
    """What `model` needs around a label.

    Attributes:
        alignment: windows start at multiples of this: the total stride.
        divisor: sides for which labels of windows can equal the whole image's are multiples of this; 1 if all are.
            Larger where the graph interpolates to the image's size, which stretches by side / ceil(side / stride).
        tied_by: the node that does; "" where `divisor` is 1.

    Raises:
        GraphError: a node sees the whole image or is unknown, or the labels have not the image's size. It is named.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._makers = {
            str(out.name): f"{node.op_type} node {node.name}" for node in model.graph for out in node.outputs
        }
        self._halos: dict[tuple[int, int], tuple[Halo, Halo]] = {}
        with restated(GraphError, NotUniform, prefix="no tile of it gives the whole image's labels: "):
            fields = _propagate_all(model, PROBE, PROBE)
            self.alignment = math.lcm(*(valid.stride.numerator for field in fields.values() for valid in field.ranges))
            self._check_sides(PROBE, PROBE)
        self.divisor, self.tied_by = 1, ""
        try:
            self._check_sides(PROBE + 1, PROBE + 1)
        except NotUniform as error:
            self.divisor, self.tied_by = self.alignment, error.node

    @property
    def width(self) -> int:
        """Side of the square of pixels that can reach one label, the largest over positions in the stride."""
        halo, _ = self.halos(0, 0)
        return halo.sum + 1

    def halos(self, height: int, width: int) -> tuple[Halo, Halo]:
        """Return halos of rows and columns for windows whose sides leave the remainders of `height` and `width`.

        Only remainders by `alignment` matter: a ragged end fills the last pool of each level in part.

        Raises:
            GraphError: the sides are not multiples of `divisor`.
        """
        rests = height % self.alignment, width % self.alignment
        if rests not in self._halos:
            with restated(GraphError, NotUniform, prefix=f"sides of windows must be multiples of {self.divisor}: "):
                self._halos[rests] = self._check_sides(PROBE + rests[0], PROBE + rests[1])
        return self._halos[rests]

    def _check_sides(self, height: int, width: int) -> tuple[Halo, Halo]:
        """Return halos at these sides, when all sizes grow with the image as their strides say."""
        small = _propagate_all(self._model, height, width)
        large = _propagate_all(self._model, height + self.alignment, width + self.alignment)
        for name, field in small.items():
            for valid, grown in zip(field.ranges, large[name].ranges, strict=True):
                if grown.size - valid.size != self.alignment / valid.stride:
                    made_by = self._makers.get(name, name)
                    raise NotUniform(made_by, "its result does not grow with the image in steps of the total stride")
        rows, columns = (_halo(self._model, small, axis) for axis in (0, 1))
        return rows, columns


def _propagate_all(model: ir.Model, height: int, width: int) -> dict[str, SpatialAxes]:
    """Return the field of every tensor with rows and columns, by name, for a window of these sides."""
    image = image_input(model)
    axes = image_axes(image)
    assert axes is not None
    sizes = tensor_sizes(model, ImageSize(1, height, width))
    fields = {str(image.name): SpatialAxes(axes[1:], (ValidRange(0, height, height), ValidRange(0, width, width)))}
    for node in model.graph:
        if any(value is not None and value.name in fields for value in node.inputs):
            propagate(node, fields, sizes)
    return fields


def _halo(model: ir.Model, fields: dict[str, SpatialAxes], axis: int) -> Halo:
    """Return what is lost at both sides in the worst of the graph's outputs."""
    halos = []
    for output in model.graph.outputs:
        field = fields.get(str(output.name))
        if field is None:
            raise GraphError(f"output {output.name} has no rows and columns of the image; tiles cannot be put together")
        valid = field.ranges[axis]
        if valid.stride != Fraction(1) or valid.size != fields[str(image_input(model).name)].ranges[axis].size:
            raise NotUniform(str(output.name), f"it has {valid.size} rows or columns, not the image's")
        halos.append(Halo(valid.first, valid.size - valid.last))
    return Halo(max(halo.before for halo in halos), max(halo.after for halo in halos))


def receptive_field_of(source: str, card: ModelCard | None, progress: Progress = SILENT) -> ReceptiveField:
    """Compute the receptive field of the model in `source`.

    Of an .onnx file its graph is read. An engine or a checkpoint holds none, and the network of `card` is built.

    Raises:
        GraphError: the graph cannot be cut into tiles, or cannot be read; or `source` has neither graph nor card.
        UnknownNameError, RecipeError, ExportError: the card's network cannot be built.
    """
    from fcn_deploy.graph.load import load_graph

    sizing = None if card is None else card.sizing
    if sizing is not None and sizing.least_side is not None:
        raise GraphError(
            f"{source} computes each image at the network size {sizing.text}, so a tile would be resized by itself; "
            "leave the tiles out, or export it with a factor as in --network-size 0.5"
        )
    if kind_of(source) == "onnx":
        return ReceptiveField(drop_weights(load_graph(Path(source))))
    if card is None:
        raise GraphError(
            f"{source} holds no model card, so the pixels that a label depends on are unknown; tiles need a model that "
            "fcn-deploy exported, adopted or built"
        )
    from fcn_deploy.models.registry import build
    from fcn_deploy.onnx_export.trace import trace

    with progress.task("tracing the network for its receptive field", None):
        graph = trace(build(replace(card, options={**card.options, "width": THIN})))
        if sizing is not None:
            graft_contract(graph, card, "uint8")
        return ReceptiveField(graph)


def drop_weights(model: ir.Model) -> ir.Model:
    """Reduce the large initializers of `model` to name, type and shape, in place; small ones are copied.

    A tensor that was read from a file holds all of the file in memory.
    """
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is None:
            continue
        if tensor.nbytes > WEIGHTS_BYTES:
            shape = ir.Shape(tensor.shape.numpy())
            value.const_value = ir.LazyTensor(_placeholder, dtype=tensor.dtype, shape=shape, name=value.name)
        else:
            value.const_value = ir.tensor(tensor.numpy().copy(), dtype=tensor.dtype, name=value.name)
    return model


def _placeholder() -> ir.TensorProtocol:
    raise GraphError("the values of weights are not at hand where only receptive fields are asked for")
