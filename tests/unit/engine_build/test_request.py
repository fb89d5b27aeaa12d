"""The model that an engine is built from."""

from __future__ import annotations

import pytest

from fcn_deploy.engine_build.request import inspect_source
from fcn_deploy.errors import EngineError
from fcn_deploy.sources.model_source import ModelSource


def test_an_engine_is_refused_before_anything_is_compared_or_built(tmp_path):
    (tmp_path / "M.Engine").write_bytes(b"vtrt" + bytes(36))
    model = ModelSource(tmp_path / "M.Engine")
    with pytest.raises(EngineError, match=r"M\.Engine is an engine already; give the checkpoint or the \.onnx file"):
        inspect_source(model, None)
