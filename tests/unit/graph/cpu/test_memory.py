"""The memory of an inference, counted by hand: blocks that values share, one after the other."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from fcn_deploy.graph.cpu.memory import GraphMemory, Kernels
from tests.support.foreign_nets import Net, foreign_net

PIXELS = 2 * 10 * 20
FLOATS = 8 * PIXELS * 4  # a value of 8 channels


def _saved(net, path, channels, *, rows=10, dtype=TensorProto.FLOAT):
    made = (net.nodes[-1].output[0], dtype, ["N", channels, "h", "w"])
    return net.save(path, ("image", "float32", ["N", 3, "H", "W"]), [made], 17)


def _bytes(path, shape=(2, 10, 20), **kernels):
    return GraphMemory(path, Kernels(**kernels))(shape)


def test_a_value_lives_to_its_last_reader_and_the_next_one_takes_its_place(tmp_path):
    net = Net()
    x = net.conv("image", 3, 8)
    for _ in range(3):
        x = net.conv(net.add("Relu", x), 8, 8)
    assert _bytes(_saved(net, tmp_path / "chain.onnx", 8)) == 2 * FLOATS


def test_a_skip_keeps_its_value_and_its_sum_needs_a_place_unless_sums_have_that_of_an_operand(tmp_path):
    net = Net()
    skip = net.conv("image", 3, 8)
    net.add("Add", skip, net.conv(net.conv(skip, 8, 8), 8, 8))
    path = _saved(net, tmp_path / "skip.onnx", 8)
    assert _bytes(path) == 3 * FLOATS
    net = Net()
    skip = net.conv("image", 3, 8)
    net.add("Add", skip, net.conv(skip, 8, 8))
    path = _saved(net, tmp_path / "sum.onnx", 8)
    assert (_bytes(path), _bytes(path, sums_in_place=True)) == (3 * FLOATS, 2 * FLOATS)


def test_small_values_share_a_block_and_a_larger_one_gets_its_own(tmp_path):
    net = Net()
    x = net.conv("image", 3, 8)
    both = net.conv(x, 8, 2), net.conv(x, 8, 2)  # two more blocks of a quarter
    x = net.conv(net.add("Concat", *both, axis=1), 4, 16)  # half in the first block; then twice its size
    assert _bytes(_saved(net, tmp_path / "shared.onnx", 16)) == FLOATS * (1 + 2 / 4 + 2)


def test_a_transposed_convolution_works_on_columns(tmp_path):
    net = Net()
    weights = net.constant(np.zeros((8, 3, 4, 4), np.float32))
    net.add("ConvTranspose", net.conv("image", 3, 8), weights, strides=[2, 2], pads=[1] * 4)
    columns, result = 3 * 16 * PIXELS * 4, 3 * 4 * PIXELS * 4
    assert _bytes(_saved(net, tmp_path / "up.onnx", 3)) == FLOATS + columns + result


def test_floats_have_the_bytes_in_which_the_runtime_computes_and_weights_are_copied_where_it_does_so(tmp_path):
    net = Net("float16")
    net.conv(net.conv("image", 3, 8), 8, 8)
    made = (net.nodes[-1].output[0], TensorProto.FLOAT16, ["N", 8, "h", "w"])
    path = net.save(tmp_path / "half.onnx", ("image", "float16", ["N", 3, "H", "W"]), [made], 17)
    assert (_bytes(path), _bytes(path, float_bytes=2)) == (2 * FLOATS, FLOATS)
    weights = 8 * 3 * 9 + 8 * 8 * 9 + 8 + 8
    assert _bytes(path, own_weights=True) - _bytes(path) == 4 * weights


def test_codes_of_8_bits_are_counted_where_floats_are_between_a_dequantise_and_a_quantise(tmp_path):
    net = Net()
    scale, zero = net.constant(np.float32(0.1)), net.constant(np.uint8(0))

    def pair(x):
        return net.add("DequantizeLinear", net.add("QuantizeLinear", x, scale, zero), scale, zero)

    x = pair(net.add("Relu", net.conv(pair("image"), 3, 8)))
    x = pair(net.add("MaxPool", x, kernel_shape=[1, 1]))
    net.conv(pair(net.conv(x, 8, 8)), 8, 8)
    path = _saved(net, tmp_path / "codes.onnx", 8)
    image, codes = 3 * PIXELS, 8 * PIXELS
    assert _bytes(path) == image + 2 * codes + 2 * FLOATS  # the last layer, whose result is not quantised, reads floats


def test_floats_of_a_convolution_are_reordered_to_be_quantised_where_the_runtime_does_so(tmp_path):
    net = Net()
    scale, zero = net.constant(np.float32(0.1)), net.constant(np.uint8(0))
    net.add("QuantizeLinear", net.conv("image", 3, 8), scale, zero)
    path = _saved(net, tmp_path / "codes.onnx", 8, dtype=TensorProto.UINT8)
    assert (_bytes(path), _bytes(path, reorders=False)) == (2 * FLOATS + FLOATS // 4, FLOATS + FLOATS // 4)


@pytest.mark.parametrize("size", [(1, 33, 47), (3, 100, 21)])
def test_bytes_grow_with_pixels_and_images(tmp_path, size):
    path = foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC")
    count, height, width = size
    assert (
        _bytes(path, size) * 2 == _bytes(path, (count, 2 * height, width)) == _bytes(path, (2 * count, height, width))
    )


def test_fixed_sizes_of_a_file_are_its_own(tmp_path):
    path = foreign_net(tmp_path / "fixed.onnx", fixed=(32, 64))
    assert _bytes(path, (1, 32, 64)) > 0


def test_what_cannot_be_inferred_has_no_estimate(tmp_path):
    net = Net()
    net.conv(net.add("Strange", net.conv("image", 3, 8), domain="other"), 8, 8)
    assert _bytes(_saved(net, tmp_path / "strange.onnx", 8)) is None
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x08\x12")
    assert _bytes(tmp_path / "damaged.onnx") is None
    assert _bytes(tmp_path / "missing.onnx") is None


def test_bytes_are_taken_for_a_file(tmp_path):
    path = foreign_net(tmp_path / "net.onnx")
    assert GraphMemory(path.read_bytes(), Kernels())((1, 33, 47)) == _bytes(path, (1, 33, 47))
    assert onnx.load(path).graph.initializer
