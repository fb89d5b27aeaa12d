"""Every command's help and options: groups, examples, old names, hints at mistyped ones."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import fcn_deploy
from fcn_deploy.cli.main import SECTIONS, cli
from fcn_deploy.cli.options.command import command_line
from tests.support.commands import check

PACKAGE = Path(fcn_deploy.__file__).parent
NAMES = [name for lines in SECTIONS.values() for name in lines]
# Command lines of earlier releases, and the same ones today.
OLD = [
    ("train --data a --val b --out run", "train --data a --val b --output run"),
    ("evaluate demo --limit 3", "evaluate demo --max-images 3"),
    ("export demo --out x.onnx", "export demo --output x.onnx"),
    ("export demo --tolerance 1e-3", "export demo --logit-tolerance 1e-3"),
    ("export demo --output logits --out x.onnx", "export demo --outputs logits --output x.onnx"),
    ("export demo --output=labels,logits", "export demo --outputs labels,logits"),
    (
        "quantize m.onnx --precision int8 --calib a --labels b --split train --images 3 --out x.onnx",
        "quantize m.onnx --precision int8 --calib a --calib-labels b --calib-split train --max-images 3 -o x.onnx",
    ),
    (
        "quantize m.onnx --precision int8 --calib a --data b --search-images 3 -o x.onnx",
        "quantize m.onnx --precision int8 --calib a --data b --max-search-images 3 -o x.onnx",
    ),
    (
        "build-engine m.onnx --calib a --labels b --split val --images 3 --out x.engine",
        "build-engine m.onnx --calib a --calib-labels b --calib-split val --max-images 3 --output x.engine",
    ),
    ("package m.onnx --triton models --size 33x47", "package m.onnx --output models --sizes 33x47"),
    ("package m.onnx -o x --size 33x47 --size 2x3", "package m.onnx -o x --sizes 33x47,2x3"),
    ("diagnose demo m.onnx --images 3", "diagnose demo m.onnx --max-images 3"),
    ("diagnose m.onnx --labels-from masks --images photos", "diagnose m.onnx --labels-from masks --data photos"),
    ("diagnose m.onnx --labels-from masks --images=photos", "diagnose m.onnx --labels-from masks --data photos"),
    ("bench --limit 3 --tolerance 2%", "bench --max-images 3 --stop-at 2%"),
]


def parsed(line: str) -> dict[str, object]:
    """The values of a command line after the name of the program; nothing is run."""
    name, *rest = line.split()
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.make_context(name, rest).params


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    return [(name, command) for name in NAMES if (command := cli.get_command(context, name)) is not None]


def output(*arguments: str) -> str:
    return CliRunner().invoke(cli, arguments, prog_name="fcn-deploy").output


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_80_columns_and_ends_with_three_examples_that_parse(name):
    text = output(name, "--help")
    assert max(map(len, text.splitlines())) <= 80
    _, _, examples = text.partition("Examples:\n")
    lines = examples.replace("\\\n", " ").splitlines()
    assert len(lines) == 3
    for line in lines:
        check(line)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_help_text_and_a_group(name):
    command = dict(commands())[name]
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert all(option.help for option in options)
    ungrouped = [option.name for option in options if getattr(option, "group", None) is None]
    assert ungrouped == ["verbose", "quiet"]
    assert "[no limit]" not in output(name, "--help")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_json_and_the_summary_of_the_overview(name):
    command = dict(commands())[name]
    assert any("--json" in param.opts for param in command.params)
    overview = " ".join(output("--help").split())
    line = next(lines[name] for lines in SECTIONS.values() if name in lines)
    assert f"{name} {line}" in overview
    assert str(command.help).splitlines()[0].split()[:2] == line.split()[:2]


def test_one_name_means_one_thing_in_all_commands():
    found: dict[str, set[str]] = {}
    for _, command in commands():
        for param in command.params:
            for name in param.opts if isinstance(param, click.Option) else ():
                found.setdefault(name, set()).add(str(param.help))
    assert {"--limit", "--images", "--out", "--search-images"}.isdisjoint(found)
    assert all("write" in text.lower() or text.startswith("Folder of") for text in found["--output"])
    assert found["-o"] == found["--output"]
    assert len(found["--bad-images"]) == len(found["--classes"]) == len(found["--radius"]) == 1


@pytest.mark.parametrize(("old", "new"), OLD)
def test_old_name_of_an_option_still_works_and_is_not_shown(old, new):
    assert parsed(old) == parsed(new)
    renamed = {word.partition("=")[0] for word in old.split() if word[:2] == "--"} - set(new.split())
    assert renamed or "--output" in old
    shown = {word.strip(",") for word in output(old.split()[0], "--help").split()}
    assert renamed - {"--output", "--tolerance"} & shown == set()


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("export demo --out a -o b", "--out", "--output"),
        ("bench --max-images 2 --limit 1", "--limit", "--max-images"),
        ("diagnose demo m.onnx --limit 1 --images 2", "--limit", "--max-images"),
        ("package m.onnx -o x --size 33x47 --sizes 2x3", "--size", "--sizes"),
    ],
)
def test_two_names_of_one_option_together_are_refused(line, old, new):
    with pytest.raises(click.UsageError, match=f"^{old} is an earlier name of {new}; give one of them$"):
        parsed(line)
    assert parsed("bench --limit 1 --limit 2")["limit"] == 2


@pytest.mark.parametrize(
    "line",
    [
        "export demo -o -", "quantize m.onnx --precision fp16 -o -", "build-engine m.onnx -o -", "package m.onnx -o -",
        "predict demo a.png -o -", "predict demo a.png -o x --areas -", "train --data a --val b -o -",
        "quantize m.onnx --precision fp16 -o x --calib-cache -",
    ],
)  # fmt: skip
def test_dash_is_refused_where_it_does_not_print(line):
    with pytest.raises(click.BadParameter, match="'-' prints nothing here; name a file or folder"):
        parsed(line)


def test_option_without_the_one_it_needs_is_refused():
    for option, needs in (("--alpha=0.5", "--overlay"), ("--halo=3", "--tile")):
        assert f"needs {needs}" in output("predict", "demo", "a.png", "-o", "x", option)


def test_commands_with_the_same_option_describe_it_alike():
    assert "openvino or tensorrt" in " ".join(output("evaluate", "--help").split())
    assert "tensorrt for an engine" in " ".join(output("evaluate", "--help").split())
    assert "recipe (.toml)" in " ".join(output("inspect", "--help").split())


def test_output_of_export_is_a_file_unless_it_names_tensors():
    for line, outputs, out in (
        ("export demo --output logits -o x.onnx", "logits", "x.onnx"),
        ("export demo --output=logits -o x.onnx", "logits", "x.onnx"),
        ("export demo --output x.onnx", "labels", "x.onnx"),
        ("export demo -o logits", "labels", "logits"),
    ):
        given = parsed(line)
        assert (given["outputs"], str(given["out"])) == (outputs, out)


def test_mistyped_option_is_answered_with_present_names_alone():
    assert "Did you mean '--max-images'" in output("bench", "--max-image", "3")
    assert "--limit" not in output("bench", "--limti", "3")
    assert "precision is part of --runners" in output("bench", "--precision", "int8")
    assert "Invalid value for '--max-images'" in output("bench", "--limit", "0")


def test_error_names_the_present_option():
    assert "Missing option '-o' / '--output'" in output("quantize", "m.onnx", "--precision", "fp16")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("benhc", "bench"), ("benchmark", "bench"), ("eval", "evaluate"), ("val", "evaluate"), ("infer", "predict"),
        ("build", "build-engine"), ("build_engine", "build-engine"), ("exprot", "export"), ("benchmrk", "bench"),
    ],
)  # fmt: skip
def test_mistyped_command_is_answered_with_the_one_meant(typed, meant):
    result = CliRunner().invoke(cli, [typed], prog_name="fcn-deploy")
    assert result.exit_code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in result.output


def test_file_in_place_of_a_command_is_answered_with_one_that_takes_it():
    assert "Name a command first, as in: fcn-deploy inspect m.onnx" in output("m.onnx")


def test_messages_name_options_that_there_are():
    """In every string of the package; the names of CSS and of other programs are no options."""
    known = {
        name for _, command in commands() for param in command.params for name in param.opts + param.secondary_opts
    }
    found = {
        (path.name, name)
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "cli") and not {"report", "page"} & set(path.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", node.value)
    }
    assert len(found) > 30
    assert {(file, name) for file, name in found if name not in known | {"--gpus", "--num-cpus", "--help"}} == set()


def test_unknown_command_without_a_near_one_is_answered_plainly():
    assert "No such command 'xyzzy'.\n" in output("xyzzy")


def test_help_is_plain_in_a_pipe():
    done = subprocess.run(
        [sys.executable, "-m", "fcn_deploy", "bench", "--help"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()


def test_commands_are_listed_in_the_order_of_the_work():
    shown = [line.split()[0] for line in output("--help").splitlines() if line[:2] == "  " and line.split()[0] in NAMES]
    assert shown == NAMES
    assert NAMES[0] == "bench"


def test_a_command_line_is_kept_as_it_was_typed_and_can_be_pasted():
    command = cli.get_command(click.Context(cli), "bench")
    words = ["a b.onnx", "--data", "val.txt", "--max-images=3"]
    with command.make_context("bench", list(words)):
        assert command_line() == "fcn-deploy bench 'a b.onnx' --data val.txt --max-images=3"
