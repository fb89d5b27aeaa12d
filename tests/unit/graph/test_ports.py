"""The ports of a graph that keeps the contract."""

from __future__ import annotations

import numpy as np

from fcn_deploy.graph.ports import Port, contract_line, label_type


def test_labels_widen_above_255_classes():
    assert label_type(255) is np.uint8
    assert label_type(256) is np.int32


def test_a_file_of_another_kind_of_network_says_what_it_lacks():
    text = contract_line([Port("x", "float32", (1, 10))], [Port("y", "float32", (1, 5))], None)
    assert text == (
        "no: its input is 'x' tensor(float)[1, 10]; expected one image, uint8[N, H, W, 3] or float[N, 3, H, W]; "
        "`fcn-deploy adopt` writes such a file"
    )
