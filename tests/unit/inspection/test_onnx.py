"""What inspect says of files that a runner would refuse."""

from __future__ import annotations

import pytest

from fcn_deploy.graph.session import newest_ir_version
from fcn_deploy.inspection.onnx import inspect_onnx
from tests.support.foreign_nets import foreign_net


@pytest.mark.parametrize(("options", "given"), [
    ({"stride": 4}, "90x120"),
    ({"output": "nhwc"}, "480x4"),
    ({"stride": 4, "output": "labels"}, "90x120"),
], ids=str)  # fmt: skip
def test_labels_of_another_size_are_reported(options, given, tmp_path):
    found = inspect_onnx(foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC", **options))
    assert (
        found.contract == f"no: labels of {given} for an image of 360x480; `fcn-deploy adopt` writes a file that fits"
    )


def test_labels_of_the_images_size_fit(tmp_path):
    found = inspect_onnx(foreign_net(tmp_path / "net.onnx", image="uint8", layout="NHWC"))
    assert found.contract.startswith("uint8 RGB image in, labels out")
    assert found.remarks == ()


def test_an_ir_version_that_onnx_runtime_does_not_read_is_a_remark(tmp_path, shell):
    net = foreign_net(tmp_path / "net.onnx", ir=newest_ir_version() + 1)
    assert (
        f"warning: it is of ONNX's IR version {newest_ir_version() + 1}, and the installed" in shell("inspect", net).out
    )
