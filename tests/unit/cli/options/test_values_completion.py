"""What a shell offers for the values of options."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from fcn_deploy.cli.main import cli


def offered(*words: str) -> list[str]:
    """Complete the last word as bash does."""
    *done, last = words
    shell = ShellComplete(cli, {}, "fcn-deploy", "_FCN_DEPLOY_COMPLETE")
    return [item.value for item in shell.get_completions(done, last)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ben",), ["bench"]),
        (("bench", "--runners", "on"), ["onnxruntime"]),
        (("bench", "--runners", "pytorch,open"), ["pytorch,openvino"]),
        (("bench", "--runners", "onnxruntime:cuda:fp1"), ["onnxruntime:cuda:fp16"]),
        (("bench", "--runners", "tensorrt:i"), ["tensorrt:int8", "tensorrt:int8+fp16"]),
        (("evaluate", "demo", "--runner", "pytorch:c"), ["pytorch:cpu", "pytorch:cuda", "pytorch:compile"]),
        (("evaluate", "demo", "--runner", "pytorch:int"), []),
        (("train", "--model", "fcn-r"), ["fcn-resnet50", "fcn-resnet101"]),
        (("quantize", "x.onnx", "--precision", "int8"), ["int8", "int8+fp16"]),
        (("export", "demo", "--max"), []),
        (("bench", "--max-im"), ["--max-images"]),
        (("bench", "--lim"), []),
    ],
)
def test_values_of_options_are_completed(words, expected):
    assert offered(*words) == expected


def test_completion_loads_neither_torch_nor_onnx():
    code = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom fcn_deploy.cli.main import cli\n"
        "shell = ShellComplete(cli, {}, 'fcn-deploy', 'X')\n"
        "assert shell.get_completions(['bench', '--runners'], 'on')\n"
        "assert shell.get_completions(['train', '--model'], '')\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'openvino', 'rich', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
