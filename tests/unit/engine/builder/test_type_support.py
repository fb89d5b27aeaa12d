"""Types that a library or a GPU lacks are refused before a build."""

from __future__ import annotations

import pytest

from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.builder.type_support import check_types, lacking_portable
from fcn_deploy.engine.flavors import RTX, TENSORRT, Flavor, traits_of
from fcn_deploy.errors import EngineError


def _flavor(name: str, version: str) -> Flavor:
    return Flavor(name, None, version, traits_of(name, version))


@pytest.mark.parametrize(
    ("name", "version", "sm", "own", "kinds", "line"),
    [
        (TENSORRT, "8.6.1", (), "SM89", ("FP8",), "TensorRT 8.6.1 has no FP8; TensorRT 10 or later has"),
        (TENSORRT, "8.6.1", (), "SM89", ("BF16", "FP32"), "TensorRT 8.6.1 has no BF16"),
        (TENSORRT, "10.3.0", (), "SM86", ("FP8",), r"SM86 has no FP8: GPUs have it from compute capability 8\.9 on"),
        (RTX, "1.7.1", ("SM120", "SM80"), None, ("FP8", "FP16"), "SM80 has no FP8"),
        (RTX, "1.7.1", ("CURRENT",), "SM75", ("BF16",), r"SM75 has no BF16: GPUs have it from compute capability 8\.0"),
    ],
)
def test_each_is_named(name, version, sm, own, kinds, line):
    with pytest.raises(EngineError, match=line):
        check_types(_flavor(name, version), BuildOptions(sm=sm), kinds, own)


@pytest.mark.parametrize(
    ("name", "version", "sm", "own", "kinds"),
    [
        (TENSORRT, "8.6.1", (), "SM75", ("INT8", "FP16")),
        (TENSORRT, "11.4.0", (), "SM90", ("FP8", "BF16")),
        (RTX, "1.7.1", ("SM89", "SM120"), "SM75", ("FP8",)),
        (RTX, "1.7.1", (), None, ("FP8",)),
    ],
)
def test_what_they_have_passes(name, version, sm, own, kinds):
    check_types(_flavor(name, version), BuildOptions(sm=sm), kinds, own)


def test_a_portable_plan_in_fp8_is_not_for_all_its_gpus():
    assert lacking_portable({"FP8": 3}) == "8.0 and 8.6"
    assert lacking_portable({"INT8": 3, "BF16": 1}) == ""
