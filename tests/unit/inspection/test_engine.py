"""How large the buffers of an engine are."""

from __future__ import annotations

from fcn_deploy.graph.ports import Port
from fcn_deploy.inspection.engine import buffer_bytes


def test_buffers_are_those_of_the_largest_batch():
    ports = [Port("image", "uint8", (-1, -1, -1, 3)), Port("logits", "float16", (-1, 21, -1, -1))]
    # 2 x 5 x 7 pixels: 3 bytes of image and 21 numbers of 2 bytes each
    assert buffer_bytes(ports, (2, 5, 7)) == 70 * (3 + 42)
    assert buffer_bytes([Port("x", "float8", (-1, -1, -1))], (2, 5, 7)) is None
