"""Which library is taken, and what each release of it refuses."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from fcn_deploy.engine import flavors
from fcn_deploy.engine.builder.options import BuildOptions, check_options, known_sm
from fcn_deploy.engine.flavors import RTX, TABLE, TENSORRT, Flavor, open_flavor, runs_portable, traits_of
from fcn_deploy.errors import EngineError, MissingDependencyError, UnknownNameError


def _flavor(name, version):
    return Flavor(name, None, version, traits_of(name, version))


@pytest.mark.parametrize(
    ("name", "version", "typed", "explicit", "monitor"),
    [
        (TENSORRT, "8.6.1", False, True, False),
        (TENSORRT, "10.0.1", True, False, True),
        (TENSORRT, "10.16.1.11", True, False, True),
        (TENSORRT, "11.4.0.106", False, False, True),
        (RTX, "1.7.1.116", False, False, True),
    ],
)
def test_each_release_finds_its_line_of_the_table(name, version, typed, explicit, monitor):
    traits = traits_of(name, version)
    assert (traits.typed_flag, traits.explicit_batch, traits.monitor) == (typed, explicit, monitor)


@pytest.mark.parametrize(
    ("name", "version"), [(TENSORRT, "8.5.3"), (TENSORRT, "9.1.0"), (TENSORRT, "12.0"), (RTX, "2.0")]
)
def test_a_release_that_was_not_tried_is_refused(name, version):
    with pytest.raises(EngineError, match=f"{name} {version} is a release that this version does not know"):
        traits_of(name, version)


def test_no_line_of_the_table_overlaps_another():
    for name in (TENSORRT, RTX):
        ends = sorted((first, beyond) for module, first, beyond in TABLE if module == name)
        assert all(beyond <= first for (_, beyond), (first, _) in pairwise(ends))


def test_a_title_names_the_library_and_its_release_once():
    assert _flavor(TENSORRT, "10.3.0").title == "TensorRT 10.3.0"
    assert _flavor(RTX, "1.7.1").title == "TensorRT for RTX 1.7.1"


def test_an_unknown_flavor_and_a_missing_library_are_reported(monkeypatch):
    with pytest.raises(UnknownNameError, match=r"unknown flavor 'rtxx'; did you mean rtx\?"):
        open_flavor("rtxx")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingDependencyError, match=r"no TensorRT library: .*fcn-deploy\[rtx\].*tensorrt"):
        open_flavor()


def test_the_first_library_that_loads_is_taken(monkeypatch):
    class Module:
        __version__ = "10.3.0"

    def require(name):
        if name == RTX:
            raise MissingDependencyError("none")
        return Module

    monkeypatch.setattr(flavors, "require", require)
    assert open_flavor().title == "TensorRT 10.3.0"


@pytest.mark.parametrize(
    ("flavor", "options", "has_gpu", "said"),
    [
        (_flavor(RTX, "1.7"), BuildOptions(timing_cache="t"), True, "has no --timing-cache"),
        (_flavor(RTX, "1.7"), BuildOptions(version_compatible=True), True, "has no --version-compatible"),
        (_flavor(RTX, "1.7"), BuildOptions(hardware_compatible=True), True, "has no --hardware-compatible.*--sm"),
        (_flavor(RTX, "1.7"), BuildOptions(refit=True), False, "has no --refit: it needs a GPU"),
        (_flavor(RTX, "1.7"), BuildOptions(strip=True), False, "has no --strip: it needs a GPU"),
        (_flavor(TENSORRT, "10.3"), BuildOptions(sm=("SM89",)), True, "has no --sm: it builds for the GPU at hand"),
        (_flavor(TENSORRT, "8.6.1"), BuildOptions(strip=True), True, "has no --strip"),
        (_flavor(TENSORRT, "11.4"), BuildOptions(), False, "shows none; .*--flavor rtx"),
    ],
)
def test_what_cannot_be_had_is_refused_and_never_dropped(flavor, options, has_gpu, said):
    with pytest.raises(EngineError, match=said):
        check_options(flavor, options, has_gpu)


def test_what_can_be_had_passes():
    check_options(_flavor(RTX, "1.7"), BuildOptions(refit=True, strip=True, tf32=False, workspace_bytes=1), True)
    everything = BuildOptions((), 1, "t", 5, True, True, True, True, True)
    check_options(_flavor(TENSORRT, "10.3"), everything, True)


def test_an_architecture_that_the_library_lacks_is_refused_with_those_it_has():
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    flavor = open_flavor("rtx")
    assert {"SM75", "SM80", "SM86", "SM89", "SM120"} <= set(known_sm(flavor))
    with pytest.raises(EngineError, match="cannot build for SM90; it builds for 75, 80, 86, 89, 120"):
        check_options(flavor, BuildOptions(sm=("SM90",)), False)
    with pytest.raises(EngineError, match="--sm current: this machine shows no GPU"):
        check_options(flavor, BuildOptions(sm=("CURRENT",)), False)


def test_portable_plans_run_on_the_gpus_that_the_library_named():
    known = ("SM75", "SM80", "SM86", "SM87", "SM89", "SM90", "SM100", "SM120", "SM121")
    assert [sm for sm in known if runs_portable(sm)] == ["SM80", "SM86", "SM89", "SM120", "SM121"]
