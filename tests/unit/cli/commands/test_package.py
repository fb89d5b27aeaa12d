"""The package command."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from fcn_deploy.cli.main import cli
from tests.support.small_fcn import write_fcn


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    write_fcn(tmp_path / "fcn.onnx")
    arguments = [
        "package",
        str(tmp_path / "fcn.onnx"),
        "--output",
        str(tmp_path / "models"),
        "--sizes",
        "34x46",
        "--cpu",
    ]
    result = CliRunner().invoke(cli, arguments)
    assert result.output == f"wrote fcn/1/model.onnx, fcn/config.pbtxt, fcn/labels.txt into {tmp_path / 'models'}\n"
    assert "KIND_CPU" in (tmp_path / "models" / "fcn" / "config.pbtxt").read_text()
    result = CliRunner().invoke(cli, [*arguments, "--sizes", "0x3"])
    assert result.exit_code == 2
    assert "'0x3' is not a height and a width above 0" in result.output
