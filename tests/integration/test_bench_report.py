"""The files that `fcn-deploy bench` leaves for readers."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcn_deploy.benchmark.record.file import read_record, write_record
from fcn_deploy.benchmark.record.measurement import Frame
from fcn_deploy.benchmark.report.html import render_html
from fcn_deploy.cli.main import cli
from fcn_deploy.errors import OutputError, RunnerError
from tests.support.bench_model import invoke, save_small_model
from tests.support.bench_records import RECORD, remeasured
from tests.unit.benchmark.report.test_html import frames

QUICK = ["--iterations", "3", "--seconds", "1", "--warmup", "1", "--threads", "1", "--no-memory"]


@pytest.fixture
def record(tmp_path) -> Path:
    write_record(tmp_path / "run.json", RECORD)
    return tmp_path / "run.json"


def test_a_run_leaves_page_markdown_and_csv_next_to_its_record(tmp_path):
    model = save_small_model(tmp_path / "small.safetensors")
    out = {name: tmp_path / f"out.{name}" for name in ("html", "markdown", "csv", "json")}
    files = [part for name, path in out.items() for part in (f"--{name}", str(path))]
    arguments = ["bench", str(model), "--data", "synthetic:3:5:33x47", "--calib", "synthetic:3:1:33x47"]
    result = invoke(*arguments, *QUICK, "--runners", "pytorch,onnxruntime:int8", *files)
    assert result.exit_code == 0
    record = read_record(out["json"])
    assert record.command.startswith(f"fcn-deploy bench {model} --data synthetic:3:5:33x47 --calib")
    row = record.rows[1]
    page = out["html"].read_text()
    # a small random network in 8 bits changes labels somewhere
    assert row.own.agreement.overall.agreed < row.own.agreement.overall.pixels
    assert "<figcaption>difference</figcaption>" in page
    worst = min(row.own.frames, key=lambda frame: frame.agreed / frame.pixels)
    assert f"<h4>{worst.name}</h4>" in page
    assert f"{worst.pixels - worst.agreed} pixel" in page
    assert "| onnxruntime:int8 |" in out["markdown"].read_text()
    assert out["csv"].read_text().count("\n") == 3


def test_a_frame_is_called_as_in_the_record(tmp_path):
    kept = frames("/private/data/val/a.png")
    named = remeasured(RECORD.rows[1], frames=(Frame("a.png", 1, 35), Frame("val/a.png", 33, 35)))
    page = render_html(replace(RECORD, rows=(RECORD.rows[0], named)), kept)
    assert "<h4>val/a.png</h4>" in page
    assert "private" not in page


def test_a_record_is_shown_again_without_its_frames(record, tmp_path):
    with pytest.raises(RunnerError, match=r"^onnxruntime:tensorrt: ran out of memory$"):  # a row of the record failed
        invoke("bench", "--from", str(record), "--html", str(tmp_path / "new" / "page.html"))
    assert "A record holds counts and no pictures" in (tmp_path / "new" / "page.html").read_text()


def test_without_room_for_the_page_the_record_and_the_other_files_are_written(record, tmp_path):
    """A limit on the size of a file: the page is larger than 16 KiB, the rest is not."""
    names = ["--json", "again.json", "--html", "page.html", "--csv", "rows.csv"]
    done = subprocess.run(
        [sys.executable, "-m", "fcn_deploy", "bench", "--from", str(record), *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, 16 << 10)),
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "page.html: the file would be larger than" in line
    assert read_record(tmp_path / "again.json") == RECORD
    assert (tmp_path / "rows.csv").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.json", "rows.csv", "run.json"]
    assert "onnxruntime" in done.stdout


def test_without_room_for_the_record_the_table_the_page_and_the_rest_are_left(record, tmp_path, monkeypatch):
    from fcn_deploy.system import files

    def full(path: Path, text: str, **options: object) -> None:
        if path.suffix == ".json":
            raise OutputError(f"cannot write {path}: no space is left on the device")
        whole(path, text, **options)

    whole = files.write_text
    monkeypatch.setattr(files, "write_text", full)
    out = {name: tmp_path / f"out.{name}" for name in ("html", "markdown", "csv", "json")}
    named = [part for name, path in out.items() for part in (f"--{name}", str(path))]
    result = CliRunner().invoke(cli, ["bench", "--from", str(record), *named])
    assert isinstance(result.exception, OutputError)
    assert "onnxruntime" in result.output
    assert [name for name, path in out.items() if path.is_file()] == ["html", "markdown", "csv"]


def test_two_files_of_one_name_are_a_usage_error(record, tmp_path):
    same = str(tmp_path / "x")
    for pair in (["--html", same, "--csv", same], ["--markdown", same, "--json", same]):
        assert invoke("bench", "--from", str(record), *pair).exit_code == 2


def test_a_page_that_cannot_be_written_is_reported_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        invoke("bench", "--html", str(tmp_path / "file" / "page.html"))
