"""pyproject.toml, setup.py, constraints.txt and the changelog agree with each other and with the package."""

from __future__ import annotations

import re
import runpy
import sys
from importlib.metadata import version

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from fcn_deploy.model_file import DEMO_CHECKPOINT, RECIPES
from fcn_deploy.system.optional import EXTRAS
from fcn_deploy.version import __version__
from tests.support import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = {name: list(map(Requirement, lines)) for name, lines in PROJECT["optional-dependencies"].items()}
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().split("\n") if line]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# Built from source or tied to the machine: nothing to pin, and `all` leaves them out.
UNPINNED = {"cuda", "graphs", "rtx-cuda", "tensorrt", "tensorrt-cuda"}


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _holds(marker: Marker | None, python: str) -> bool:
    machine = {"python_version": python, "sys_platform": "linux", "platform_machine": "x86_64", "extra": ""}
    return marker is None or marker.evaluate(machine)


def _pins(python: str) -> dict[str, Requirement]:
    found = [pin for pin in PINS if _holds(pin.marker, python)]
    assert len({_key(pin.name) for pin in found}) == len(found), "two pins of one package"
    return {_key(pin.name): pin for pin in found}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_declared_dependency_has_one_pin_that_it_allows(python: str):
    pins = _pins(python)
    extras = [needed for name, lines in OPTIONAL.items() if name not in {*UNPINNED, "all"} for needed in lines]
    needed = [each for each in [*map(Requirement, PROJECT["dependencies"]), *extras] if _holds(each.marker, python)]
    assert [str(each) for each in needed if _key(each.name) not in pins] == []
    versions = {name: str(pin.specifier).removeprefix("==") for name, pin in pins.items()}
    assert [str(each) for each in needed if not each.specifier.contains(versions[_key(each.name)])] == []


def test_the_supported_pythons_are_the_classified_ones():
    classified = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert classified == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_all_names_every_extra_that_installs_anywhere():
    (everything,) = OPTIONAL["all"]
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(OPTIONAL) - UNPINNED - {"all", "dev", "docs"}


def test_a_message_names_only_extras_that_exist_and_hold_the_package():
    packages = {"cuda": "cuda-bindings", "pynvml": "nvidia-ml-py"}
    for module, extra in EXTRAS.items():
        assert _key(packages.get(module, module)) in {_key(needed.name) for needed in OPTIONAL[extra]}


def test_the_version_is_that_of_the_changelog_the_citation_and_the_installation():
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff")}
    released = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", texts["CHANGELOG.md"], re.MULTILINE)
    assert released[0] == __version__
    assert f"\nversion: {__version__}\n" in texts["CITATION.cff"]
    assert version("fcn-deploy") == __version__, 'run `pip install -e ".[dev]" -c constraints.txt` again'


def test_package_data_has_the_demo_and_every_recipe():
    from fnmatch import fnmatch

    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = tables["package-data"]["fcn_deploy"]
    files = [
        DEMO_CHECKPOINT,
        *RECIPES.iterdir(),
        *(ROOT / "fcn_deploy" / "benchmark" / "report" / "templates").iterdir(),
        ROOT / "fcn_deploy" / "page" / "page.css",
        *(ROOT / "fcn_deploy" / "training" / "templates").iterdir(),
    ]
    named = [path.relative_to(ROOT / "fcn_deploy").as_posix() for path in files if path.name != "__pycache__"]
    assert [name for name in named if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_description_has_no_link_that_needs_a_checkout():
    describe = runpy.run_path(str(ROOT / "setup.py"))["description"]
    text = (
        "A ![picture](docs/p.png) of [the guide](docs/guide.md#1), [docs/a.md](docs/a.md), [web](https://example.org)."
    )
    assert describe(text).endswith("A  of the guide (docs/guide.md#1), docs/a.md, [web](https://example.org).")
    readme = describe((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [target for target in re.findall(r"\]\(([^)]+)\)", readme) if not target.startswith(("http", "#"))] == []
