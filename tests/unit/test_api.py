"""The functions of `fcn_deploy`: light to import, typed, with examples that run, and the command line's defaults."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from click.testing import CliRunner

import fcn_deploy
from fcn_deploy import BuildOptions, Cluster, DataOptions
from fcn_deploy.cli.main import cli
from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.setup import NETWORK, TrainArguments
from tests.support.foreign_nets import foreign_net

FUNCTIONS = [name for name in fcn_deploy.__all__ if name[0].islower()]
SECTIONS = {"Returns:", "Raises:", "Example:"}


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fcn_deploy\nprint([name for name in ('torch', 'numpy', 'onnx', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_the_names_that_are_imported_lazily():
    tree = ast.parse(inspect.getsource(fcn_deploy))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    seen = {alias.name: line.module for line in block.body for alias in line.names}  # type: ignore[attr-defined]
    assert seen == fcn_deploy._MODULES
    assert {*seen, "__version__"} == set(fcn_deploy.__all__) <= set(dir(fcn_deploy))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fcn_deploy' has no attribute 'evalute'"):
        fcn_deploy.evalute  # noqa: B018


def test_train_takes_what_a_run_is_configured_by_and_explains_it():
    names = set(TrainArguments.__annotations__)
    assert names == {field.name for field in fields(TrainConfig)} - {"output", "options"} | {*NETWORK}
    text = fcn_deploy.train.__doc__ or ""
    for field in fields(TrainConfig):
        if field.default is not MISSING:
            shown = json.dumps(field.default) if isinstance(field.default, str) else repr(field.default)
            assert re.search(rf"\b{field.name}\b", text)
            assert field.default is None or f"{field.name} = {shown}" in text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the file that the example of `export` writes, and a foreign one; the other examples read them."""
    folder = tmp_path_factory.mktemp("examples")
    run_example("export", folder)
    foreign_net(folder / "unet.onnx")
    return folder


def run_example(name: str, folder: Path) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(fcn_deploy, name), name)
    assert example.examples
    report: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        failed, _ = doctest.DocTestRunner().run(example, out=report.append)
    assert failed == 0, "".join(report)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs(name, folder):
    if name == "build_engine":
        pytest.importorskip("tensorrt_rtx")
    if name != "export":
        run_example(name, folder)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_explains_each_argument_the_result_and_the_errors(name):
    text = inspect.getdoc(getattr(fcn_deploy, name)) or ""
    assert set(text.splitlines()) >= SECTIONS
    parameters = inspect.signature(getattr(fcn_deploy, name)).parameters.keys() - {"progress"}
    explained = ", ".join(re.findall(r"^    (\w+(?:, \w+)*): ", text, re.MULTILINE)).split(", ")
    assert parameters <= set(explained)


def test_options_check_their_fields_as_the_functions_do():
    assert DataOptions("images", classes="sky, road").classes == ("sky", "road")
    with pytest.raises(FcnDeployError, match=r"^limit is 0; expected an integer of 1 or more$"):
        DataOptions("images", limit=0)
    with pytest.raises(UnknownNameError, match=r"^unknown on error 'stop' \(known: raise, skip\)$"):
        DataOptions("images", on_error="stop")
    with pytest.raises(FcnDeployError, match=r"^actors is 0; expected an integer of 1 or more$"):
        Cluster(actors=0)


@pytest.mark.parametrize("given", [
    {"train": {"output": "run", "start": "xx"}},
    {"train": {"output": "run", "device": "gpu"}},
    {"predict": {"model": "demo", "images": "a.png", "output": "o", "format": "jpg"}},
    {"export": {"model": "demo", "input_kind": "int8"}},
    {"quantize": {"model": "demo", "output": "q.onnx", "precision": "fp32"}},
    {"build_engine": {"model": "demo", "output": "e", "precision": "fp4"}},
])  # fmt: skip
def test_an_unknown_word_is_named_with_the_known_ones(given):
    ((name, arguments),) = given.items()
    *_, (argument, word) = arguments.items()
    with pytest.raises(UnknownNameError, match=rf"^unknown {argument.replace('_', ' ')} '{word}'.*\(known: "):
        getattr(fcn_deploy, name)(**arguments)


PREDICT = {"model": "demo", "images": "a.png", "output": "o"}


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("predict", {**PREDICT, "overlay": 2.0}, "overlay is 2.0; expected a number from 0 to 1"),
    ("predict", {**PREDICT, "batch": 0}, "batch is 0; expected an integer of 1 or more"),
    ("predict", {**PREDICT, "lanes": -1}, "lanes is -1; expected an integer from 1 to 64"),
    ("predict", {**PREDICT, "images": []}, "images is empty; expected at least one"),
    ("evaluate", {"models": "demo", "threads": 0}, "threads is 0; expected an integer from 1 to 1024"),
    ("evaluate", {"models": "demo", "radius": -1}, "radius is -1; expected an integer of 0 or more"),
    ("bench", {"seconds": -1}, "seconds is -1; expected a number from 0 to 10000000"),
    ("bench", {"seconds": "x"}, "seconds is 'x'; expected a number"),
    ("bench", {"image_sizes": ["36x"]}, "image_sizes[0] is '36x'; expected a tuple of 2 numbers"),
    ("bench", {"sizes": ["36x"]}, "'36x' is not a network size; write HxW as in 512x1024, a longest side as in "
     "longest:1024, or a factor above 0 and at most 4 as in 0.5"),
    ("bench", {"image_sizes": [(36, 0)]}, "image_sizes[0][1] is 0; expected an integer of 1 or more"),
    ("bench", {"runners": []}, "runners is empty; expected at least one"),
    ("train", {"output": "run", "epochs": "x"}, "epochs is 'x'; expected an integer"),
    ("load", {"model": "demo", "batch": 0}, "batch is 0; expected an integer of 1 or more"),
])  # fmt: skip
def test_an_argument_out_of_range_is_one_clear_error(name, arguments, message):
    with pytest.raises(FcnDeployError, match=f"^{re.escape(message)}$"):
        getattr(fcn_deploy, name)(**arguments)


def test_a_string_means_a_list_of_names(tmp_path, small_onnx):
    report = fcn_deploy.quantize(small_onnx, tmp_path / "half.onnx", precision="fp16", keep="score_fr")
    assert report.path.exists()
    with pytest.raises(UnknownNameError, match="unknown output 'label'"):
        fcn_deploy.export("demo", tmp_path / "demo.onnx", outputs="labels,label")
    with pytest.raises(UnknownNameError, match="unknown runner 'onnxruntimes'"):
        fcn_deploy.bench("demo", "synthetic:2:0:48x64", runners="pytorch,onnxruntimes")
    with pytest.raises(FcnDeployError, match=r"^/nowhere/x\.onnx does not exist"):
        fcn_deploy.diagnose("/nowhere/x.onnx")


# The fewest arguments that each command takes.
COMMANDS = {
    "adopt": ["m.onnx"],
    "bench": [],
    "build_engine": ["m.onnx", "-o", "m.engine"],
    "check_data": ["check", "photos"],
    "choose": ["demo", "--data", "val.txt", "-o", "best.onnx"],
    "diagnose": ["demo", "m.onnx"],
    "evaluate": ["demo"],
    "explain_labels": ["demo", "--labels-from", "masks", "--data", "photos"],
    "export": ["demo"],
    "inspect": ["demo"],
    "predict": ["demo", "photo.png", "-o", "masks"],
    "quantize": ["m.onnx", "--precision", "fp16", "-o", "h.onnx"],
    "train": ["--data", "a", "--val", "b", "-o", "run"],
    "watch": ["m.onnx", "photos"],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_command_calls_the_function_with_its_own_defaults(name, tmp_path, monkeypatch):
    if name == "load":  # no command opens a model to hand it over
        return
    monkeypatch.chdir(tmp_path)
    signature, calls = inspect.signature(getattr(fcn_deploy, name)), []

    def called(*arguments: object, **given: object) -> None:
        calls.append(signature.bind(*arguments, **given).arguments)
        raise FcnDeployError("called")

    monkeypatch.setattr(f"{fcn_deploy._MODULES[name]}.{name}", called)
    command = {"check_data": "data", "explain_labels": "diagnose"}.get(name, name.replace("_", "-"))
    result = CliRunner().invoke(cli, [command, *COMMANDS[name]])
    assert str(result.exception) == "called", result.output
    (given,) = calls
    for parameter in signature.parameters.values():
        if parameter.default is parameter.empty or parameter.name in ("progress", "stdin", "on_epoch"):
            continue
        passed = given.get(parameter.name, parameter.default)
        assert _settled(passed) == _settled(parameter.default), parameter.name


def _settled(value: object) -> object:
    """A value as the function takes it: options that ask for nothing are None."""
    if isinstance(value, list):
        return tuple(value)
    nothing = (isinstance(value, DataOptions) and value.source is None) or value in (BuildOptions(), AccuracyBudget())
    return None if nothing else value
