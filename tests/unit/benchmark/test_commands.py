"""The command line that makes a row's file again."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcn_deploy.benchmark.commands import command_for, is_made, made_name
from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.cli.main import cli
from fcn_deploy.data.options import DataOptions
from fcn_deploy.vocabulary import Profile

CALIB = DataOptions("photos of today", labels="masks", split="train", limit=100)


def source(text: str = "m.onnx", kind: str = "onnx", model: str | None = None):
    stem, is_file = Path(text).stem, kind == "onnx"
    return SimpleNamespace(
        text=text, kind=kind, model=model, path=Path(text), stem=stem, is_file=is_file, network_size=None
    )


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("onnxruntime:int8", "m.int8.cpu.onnx"),
        ("openvino:int8", "m.int8.cpu.onnx"),
        ("onnxruntime:cuda:int8", "m.int8.tensorrt.onnx"),
        ("onnxruntime:fp16", "m.fp16.onnx"),
        ("onnxruntime", "m.onnx"),
        ("tensorrt", "m.engine"),
        ("tensorrt:int8+fp16", "m.int8+fp16.engine"),
    ],
)
def test_names_say_precision_and_target(spec, name):
    assert made_name("m", parse_spec(spec)) == name


def test_what_opens_the_file_as_it_is_makes_none():
    assert not is_made(source(), parse_spec("onnxruntime"))
    assert not is_made(source(), parse_spec("pytorch"))
    assert not is_made(source("m.engine", "engine"), parse_spec("tensorrt"))
    assert is_made(source("m.pth", "checkpoint"), parse_spec("openvino"))


@pytest.mark.parametrize(
    ("model", "spec", "calibration", "profiles", "command"),
    [
        (
            source(),
            "onnxruntime:int8",
            CALIB,
            (),
            "fcn-deploy quantize m.onnx --precision int8 --target cpu --calib 'photos of today' --calib-labels masks "
            "-o out",
        ),
        (source(), "onnxruntime:fp16", None, (), "fcn-deploy quantize m.onnx --precision fp16 -o out"),
        (source("b.pth", "checkpoint"), "openvino", CALIB, (), "fcn-deploy export b.pth -o out"),
        (
            source("b.pth", "checkpoint", "fcn8s-caffe"),
            "openvino:fp16",
            DataOptions("x", split="val", limit=7, on_error="skip"),
            (),
            "fcn-deploy export b.pth --model fcn8s-caffe -o b.onnx && fcn-deploy quantize b.onnx --precision fp16 "
            "--calib x --calib-split val --max-images 7 --bad-images skip -o out",
        ),
        (
            source(),
            "tensorrt:fp16",
            None,
            (Profile((1, 32, 32), (1, 32, 32), (1, 64, 96)),),
            "fcn-deploy build-engine m.onnx --precision fp16 --min 1x32x32 --opt 1x32x32 --max 1x64x96 -o out",
        ),
        (
            source(),
            "tensorrt",
            CALIB,
            (Profile((1, 32, 32), (1, 32, 32), (1, 32, 32)),),
            "fcn-deploy build-engine m.onnx --opt 1x32x32 -o out",
        ),
    ],
)
def test_the_command_has_the_options_of_the_run(model, spec, calibration, profiles, command):
    found = command_for(model, parse_spec(spec), "out", calibration, profiles)
    assert found == command
    for line in found.split(" && "):
        _, name, *arguments = shlex.split(line)
        cli.get_command(None, name).make_context(name, arguments, parent=None)
