"""Dockerfiles and workflows, which nothing here can run, name files, pins, commands and Pythons that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT
from tests.unit.distribution.test_metadata import OPTIONAL, PINS, PYTHONS

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def _lines(path: Path) -> list[str]:
    """Return the instructions of a Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_a_dockerfile_copies_files_that_exist_and_pins_as_the_constraints_do(path: Path):
    assert "Not built" in path.read_text(encoding="utf-8")
    lines = _lines(path)
    known = ("ARG", "CMD", "COPY", "ENV", "FROM", "RUN", "WORKDIR")
    assert [line for line in lines if line.split()[0] not in known] == []
    sources = [source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "constraints.txt", "fcn_deploy"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    pins = {f"{pin.name}{pin.specifier}" for pin in PINS}
    assert [pin for pin in re.findall(r"\S+==\S+", "\n".join(lines)) if pin not in pins] == []
    extras = re.findall(r'"\.\[([^\]]+)\]"', "\n".join(lines))
    assert extras
    assert [extra for names in extras for extra in names.split(",") if extra not in OPTIONAL] == []


def test_the_pages_name_only_dockerfiles_that_exist():
    text = (ROOT / "docs" / "triton.md").read_text(encoding="utf-8")
    assert {f"docker/{path.name}" for path in DOCKERFILES} >= set(re.findall(r"docker/\w+\.Dockerfile", text)) != set()


def _workflow(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_the_workflow_runs_what_ci_runs_and_the_tests_on_every_python():
    jobs = _workflow(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert "bash .ci/run" in _commands(jobs["checks"])
    (own,) = [step["with"]["python-version"] for step in jobs["checks"]["steps"] if "with" in step]
    assert sorted([own, *jobs["tests"]["strategy"]["matrix"]["python"]]) == PYTHONS
    assert 'pip install -e ".[dev]" -c constraints.txt && pytest -n auto' in _commands(jobs["tests"])
    assert "pytest -n auto" in RUN


def test_every_make_target_of_a_workflow_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [_commands(job) for path in WORKFLOWS for job in _workflow(path)["jobs"].values()]
    named = [target for text in commands for target in re.findall(r"\bmake ([a-z]+)", text)]
    assert named
    assert set(named) <= targets
