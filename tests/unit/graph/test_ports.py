"""The ports of a graph that keeps the contract."""

from __future__ import annotations

import numpy as np

from fcn_deploy.graph.ports import label_type


def test_labels_widen_above_255_classes():
    assert label_type(255) is np.uint8
    assert label_type(256) is np.int32
