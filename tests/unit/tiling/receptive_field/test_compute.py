"""The halo is what a window's border can change: no pixel less, no pixel more."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import helper

import fcn_deploy
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.cpu.subpixel import upsample_by_phases
from fcn_deploy.graph.load import load_graph
from fcn_deploy.tiling.receptive_field.compute import Halo, ReceptiveField
from tests.support.foreign_nets import MEAN, STD, unet
from tests.support.random_nets import Layer, chain, model_of
from tests.support.small_fcn import write_fcn


def field(*layers: Layer, offset: int = 0) -> ReceptiveField:
    return ReceptiveField(chain(layers, offset=offset))


def test_a_3x3_convolution_sees_one_pixel_around():
    reach = field(Layer("Conv", 3, before=1, after=1))
    assert (reach.alignment, reach.divisor, reach.width) == (1, 1, 3)
    assert reach.halos(7, 7) == (Halo(1, 1), Halo(1, 1))


def test_padding_before_alone_moves_the_field():
    """Output o reads o - 4 .. o - 2: a window's first four labels are its border's, and none of the last."""
    layers = Layer("Conv", 3, before=4, after=0)
    assert field(layers).halos(0, 0)[0] == Halo(4, 0)
    assert field(layers, offset=2).halos(0, 0)[0] == Halo(2, 0)


def test_dilation_spreads_the_taps():
    assert field(Layer("Conv", 3, dilation=4, before=4, after=4)).halos(0, 0)[0] == Halo(4, 4)


def test_an_upsampled_pool_by_hand():
    """Labels 2i - 1 .. 2i + 2 see score i, scores see 3 pools, pools see 2 pixels: score 0 reads pool -1, pixel -2."""
    reach = field(
        Layer("MaxPool", 2, 2, ceil=True),
        Layer("Conv", 3, before=1, after=1),
        Layer("ConvTranspose", 4, 2, before=1, after=1),
    )
    assert reach.alignment == 2
    assert reach.halos(0, 0)[0] == Halo(3, 3)
    # With an odd side the last pool is half a pool: one score more is lost, and it had one label instead of two.
    assert reach.halos(1, 0) == (Halo(3, 4), Halo(3, 3))


def test_the_skip_of_a_small_fcn(tmp_path):
    """conv2 and conv3 each lose one of the pool's rows, conv1 half of one: three rows of two labels."""
    reach = ReceptiveField(load_graph(write_fcn(tmp_path / "m.onnx")))
    assert (reach.alignment, reach.halos(0, 0)[0], reach.width) == (2, Halo(6, 6), 13)


def test_a_pool_that_rounds_down_ties_tiles_to_sides_that_it_divides(tmp_path):
    reach = ReceptiveField(load_graph(write_fcn(tmp_path / "m.onnx")))
    assert reach.divisor == 2
    with pytest.raises(GraphError, match="must be multiples of 2"):
        reach.halos(7, 8)


@pytest.mark.parametrize("side", range(64, 68))
def test_phases_have_the_halo_of_the_transposed_convolution_that_they_replace(side):
    layers = (Layer("MaxPool", 4, 4, ceil=True), Layer("Conv", 3, before=1, after=1))
    model = chain((*layers, Layer("ConvTranspose", 8, 4, before=2, after=2)))
    before = ReceptiveField(model).halos(side, side)
    assert upsample_by_phases(model) == ["ConvTranspose2"]
    assert ReceptiveField(model).halos(side, side) == before


LAYERS = st.one_of(
    st.builds(
        Layer,
        st.just("Conv"),
        st.integers(1, 4),
        stride=st.integers(1, 2),
        dilation=st.integers(1, 2),
        before=st.integers(0, 4),
        after=st.integers(0, 4),
    ),
    st.builds(Layer, st.just("MaxPool"), st.integers(2, 3), stride=st.integers(1, 2), ceil=st.booleans()),
    st.builds(Layer, st.just("AveragePool"), st.integers(2, 3), stride=st.integers(1, 2), before=st.integers(0, 1)),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    layers=st.lists(LAYERS, min_size=1, max_size=4),
    kernel=st.integers(0, 4),
    sides=st.tuples(st.integers(45, 70), st.integers(45, 70)),
    places=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_inside_the_halo_every_number_is_the_whole_images(layers, kernel, sides, places):
    """Windows anywhere in images of any size, through layers of any padding: equal but for FP32's order of sums."""
    stride = int(np.prod([layer.stride for layer in layers]))
    if stride > 1:
        layers = [*layers, Layer("ConvTranspose", stride + kernel, stride)]
    model = chain(tuple(layers))
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        reach = ReceptiveField(model)
        halos = reach.halos(*sides)
    except GraphError:
        assume(False)
    image = np.random.default_rng(0).normal(size=(1, 3, *sides)).astype(np.float32)
    (whole,) = session.run(None, {"x": image})
    # The window ends with the image below and not on the right: one true border, one of its own.
    top = min(places[0] * reach.alignment, sides[0] - 1)
    top -= top % reach.alignment
    right = sides[1] - reach.alignment * (1 + places[1])
    assume(sides[0] - top > halos[0].sum + 8 and right > halos[1].sum + 8)
    (part,) = session.run(None, {"x": image[:, :, top:, :right]})
    first = halos[0].before if top else 0
    last = right - halos[1].after
    np.testing.assert_allclose(part[:, :, first:, :last], whole[:, :, top + first :, :last], atol=1e-4)


@pytest.mark.parametrize(
    "layers",
    [
        (Layer("Conv", 3, before=1, after=1),),
        (Layer("Conv", 5, 2, before=3, after=2), Layer("ConvTranspose", 5, 2, before=1, after=2)),
        (
            Layer("AveragePool", 2, 2),
            Layer("Conv", 3, before=1, after=1),
            Layer("ConvTranspose", 4, 2, before=1, after=1),
        ),
    ],
)
def test_one_pixel_outside_the_halo_differs(layers):
    model = chain(layers)
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    (whole,) = session.run(None, {"x": image})
    (part,) = session.run(None, {"x": image[:, :, 16:48, 16:48]})
    halo = ReceptiveField(model).halos(32, 32)[0]
    differs = np.abs(part - whole[:, :, 16:48, 16:48]).max((0, 1)) > 1e-4
    assert not differs[halo.before : 32 - halo.after, halo.before : 32 - halo.after].any()
    assert differs[halo.before - 1].any()
    assert differs[32 - halo.after].any()


def named(op_type: str, inputs: list[str], **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op_type, inputs, ["logits"], name="last", **attributes)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (
            named("InstanceNormalization", ["x", "three", "three"]),
            "InstanceNormalization node last may look at the whole",
        ),
        (named("Softmax", ["x"], axis=3), "goes along rows or columns"),
        (named("Conv", ["x", "weight"], auto_pad="SAME_UPPER"), "auto_pad SAME_UPPER"),
        (named("Slice", ["x", "minus", "far", "axis"]), "from the end"),
        (named("Resize", ["x", "", "scales"], mode="cubic"), "cubic"),
    ],
)
def test_what_tiles_cannot_follow_is_named(node, reason):
    tensors = {
        "three": np.ones(3, np.float32),
        "weight": np.ones((3, 3, 3, 3), np.float32),
        "minus": np.array([-8]),
        "far": np.array([1 << 40]),
        "axis": np.array([2]),
        "scales": np.float32([1, 1, 2, 2]),
    }
    used = {name: tensors[name] for name in node.input if name in tensors}
    with pytest.raises(GraphError, match=reason):
        ReceptiveField(model_of([node], used, channels=3))


def test_a_graph_that_adds_the_columns_number_is_refused():
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"], start=3),
        helper.make_node("Squeeze", ["sides"], ["columns"]),
        helper.make_node("Range", ["zero", "columns", "one"], ["place"]),
        helper.make_node("Cast", ["place"], ["as_float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Add", ["x", "as_float"], ["logits"], name="last"),
    ]
    with pytest.raises(GraphError, match="Add node last has a constant that varies with the place"):
        ReceptiveField(model_of(nodes, {"zero": np.array(0), "one": np.array(1)}, channels=3))


def test_a_crop_to_a_fixed_size_is_named():
    nodes = [helper.make_node("Slice", ["x", "start", "end", "axis"], ["logits"], name="cut")]
    tensors = {"start": np.array([0]), "end": np.array([512]), "axis": np.array([2])}
    with pytest.raises(GraphError, match=r"no tile .* Slice node cut"):
        ReceptiveField(model_of(nodes, tensors, channels=3))


def test_labels_at_another_stride_than_the_images_are_refused():
    nodes = [helper.make_node("MaxPool", ["x"], ["logits"], name="pool", kernel_shape=[2, 2], strides=[2, 2])]
    with pytest.raises(GraphError, match="not the image's"):
        ReceptiveField(model_of(nodes, {}, channels=3))


def test_a_unet_has_tiles_at_multiples_of_its_stride(tmp_path):
    """Its Concat joins tensors of one size at those sides alone."""
    adopted = fcn_deploy.adopt(unet(tmp_path / "unet.onnx"), tmp_path / "a.onnx", mean=MEAN, std=STD)
    field = ReceptiveField(load_graph(adopted.path))
    assert (field.alignment, field.divisor) == (8, 8)
    assert field.tied_by.startswith("Concat node")
