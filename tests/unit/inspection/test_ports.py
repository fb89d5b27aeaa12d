"""The ports of a file: what they lack, and how large their buffers are."""

from __future__ import annotations

from fcn_deploy.graph.ports import Port
from fcn_deploy.inspection.ports import buffer_bytes, contract


def test_a_file_of_another_kind_of_network_says_what_it_lacks():
    text = contract([Port("x", "float32", (1, 10))], [Port("y", "float32", (1, 5))], None)
    assert text == (
        "no: its input is 'x' tensor(float)[1, 10]; expected one image, uint8[N, H, W, 3] or float[N, 3, H, W]; "
        "fcn-deploy export writes such a file"
    )


def test_buffers_are_those_of_the_largest_batch():
    ports = [Port("image", "uint8", (-1, -1, -1, 3)), Port("logits", "float16", (-1, 21, -1, -1))]
    # 2 x 5 x 7 pixels: 3 bytes of image and 21 numbers of 2 bytes each
    assert buffer_bytes(ports, (2, 5, 7)) == 70 * (3 + 42)
    assert buffer_bytes([Port("x", "float8", (-1, -1, -1))], (2, 5, 7)) is None
