"""The descriptions in tests/api against the bindings themselves, fetched anew from the package index."""

from __future__ import annotations

import subprocess

import pytest

from tests.api.bindings import CUDA, RELEASES, describe_installed, describe_library, describe_wheel, fetch, read
from tests.api.stub import missing_tool


def fetched(release, folder):
    """The wheel; a skip where it cannot be had."""
    tool = missing_tool()
    if tool is not None:
        pytest.skip(f"{tool} is needed to stand in for TensorRT's libraries")
    try:
        return fetch(release, folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{release.requirement} cannot be fetched: {error.stderr.strip()[-300:]}")


@pytest.mark.long
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.title)
def test_a_description_is_what_the_bindings_offer(release, tmp_path):
    assert describe_wheel(release, fetched(release, tmp_path), tmp_path) == read(release.title)


@pytest.mark.parametrize("module", CUDA)
def test_a_description_is_what_the_installed_module_offers(module, tmp_path):
    if missing_tool() is not None:
        pytest.skip(f"{missing_tool()} is needed to stand in for the driver")
    try:
        found = describe_installed(module, tmp_path)
    except ImportError as error:
        pytest.skip(str(error))
    described = {name: told for name, told in read(module).items() if isinstance(told, dict)}
    assert read(module).keys() <= found.keys()
    assert {name for name, told in described.items() if not offered(told, found[name])} == set()


def offered(told, found):
    """Whether an installed release has all that the description lists; newer ones have more."""
    return all(set(told[part]) <= set(found[part]) for part in told if part != "bases")


def test_the_library_that_is_installed_offers_what_its_bindings_offer_over_stubs():
    (release,) = (release for release in RELEASES if release.title == "tensorrt_rtx-1.7.1")
    module = pytest.importorskip("tensorrt_rtx")
    described = read(release.title)
    if module.__version__ != described["__version__"]:
        pytest.skip(f"tensorrt_rtx {module.__version__} is installed, the description is of {described['__version__']}")
    assert describe_library(release) == described
