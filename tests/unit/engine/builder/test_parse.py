"""What a parser of TensorRT says of a file."""

from __future__ import annotations

import sys

import pytest

from fcn_deploy.engine.builder.parse import parser_findings
from fcn_deploy.engine.flavors import RTX
from fcn_deploy.errors import MissingDependencyError
from tests.support.audit_graphs import int8_conv


def test_a_parser_that_is_not_installed_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, RTX, None)
    with pytest.raises(MissingDependencyError, match=r"fcn-deploy\[rtx\]"):
        parser_findings(int8_conv(tmp_path / "m.onnx"), "rtx")
