"""The comparison of an exported file with its network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.errors import ExportError
from fcn_deploy.models.registry import build
from fcn_deploy.onnx_export import proof
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.onnx_export.proof import PROOF_SHAPES, compare, fitting_shapes
from tests.support.recorded_progress import RecordedProgress

CARD = ModelCard("fcn32s", ("a", "b"), options={"width": 0.125})


def test_proof_counts_a_label_as_wrong_only_beyond_what_rounding_explains():
    expected = np.array([[[[0.0, 0.0]], [[1.0, 0.001]]]], np.float32)  # N=1, C=2, H=1, W=2; margins 1 and 0.001
    logits = expected + np.array([[[[0.002, 0.002]], [[0.0, 0.0]]]], np.float32)
    tick = compare((1, 1, 2), expected, logits, logits.argmax(1), tolerance=0.01)
    assert (tick.labels_differing, tick.labels_wrong, tick.passed) == (1, 0, True)
    flipped = np.array([[[0, 1]]])
    tick = compare((1, 1, 2), expected, logits, flipped, tolerance=0.01)
    assert (tick.labels_wrong, tick.passed) == (1, False)


def test_a_proof_that_does_not_fit_in_memory_is_refused_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "free_bytes", lambda: 1 << 30)
    sized = replace(CARD, network_size="10000x20000")
    with pytest.raises(
        ExportError, match=r"^the proof at a network size of 10000x20000 .* GiB of .* and 1\.0 are free;"
    ):
        export_model(build(sized), sized, tmp_path / "large.onnx")
    assert list(tmp_path.iterdir()) == []
    assert fitting_shapes(Contract(build(CARD), CARD), None) == PROOF_SHAPES


def test_a_long_proof_says_after_its_first_shape_how_long_the_others_take(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "LONG_S", 0)
    progress, shapes = RecordedProgress(), ((1, 32, 32), (1, 33, 47), (1, 1, 1))
    export_model(build(CARD), CARD, tmp_path / "small.onnx", shapes=shapes, progress=progress)
    assert progress.lines == ["about 0 minutes for the other 2 shapes of the proof"]
