"""The comparison of an exported file with its network."""

from __future__ import annotations

import numpy as np

from fcn_deploy.onnx_export.proof import compare


def test_proof_counts_a_label_as_wrong_only_beyond_what_rounding_explains():
    expected = np.array([[[[0.0, 0.0]], [[1.0, 0.001]]]], np.float32)  # N=1, C=2, H=1, W=2; margins 1 and 0.001
    logits = expected + np.array([[[[0.002, 0.002]], [[0.0, 0.0]]]], np.float32)
    tick = compare((1, 1, 2), expected, logits, logits.argmax(1), tolerance=0.01)
    assert (tick.labels_differing, tick.labels_wrong, tick.passed) == (1, 0, True)
    flipped = np.array([[[0, 1]]])
    tick = compare((1, 1, 2), expected, logits, flipped, tolerance=0.01)
    assert (tick.labels_wrong, tick.passed) == (1, False)
