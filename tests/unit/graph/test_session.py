"""Sessions that no runner opened: proofs, calibration, parts of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.errors import ShapeError
from fcn_deploy.graph.cpu import budget
from fcn_deploy.graph.session import open_cpu_session
from tests.support.small_fcn import write_fcn


def test_an_image_that_does_not_fit_in_memory_is_refused(tmp_path, monkeypatch):
    session = open_cpu_session(write_fcn(tmp_path / "small.onnx"))
    monkeypatch.setattr(budget, "free_bytes", lambda: 100_000)
    (labels,) = session.run(["labels"], {"image": np.zeros((1, 20, 30, 3), np.uint8)})
    assert labels.shape == (1, 20, 30)
    with pytest.raises(ShapeError, match=r"^200x300 pixels in one inference"):
        session.run(None, {"image": np.zeros((1, 200, 300, 3), np.uint8)})
