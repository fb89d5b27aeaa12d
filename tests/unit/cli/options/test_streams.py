"""The options of streams of images, on the command line of bench."""

from __future__ import annotations

import csv
import json

import click
import pytest

from fcn_deploy.benchmark.timing import streams
from fcn_deploy.cli.options.streams import duration

QUICK = ("--runners", "onnxruntime", "--iterations", 3, "--warmup", 0, "--saturation", 0, "--no-memory")


@pytest.mark.parametrize(("text", "seconds"), [("50ms", 0.05), ("0.05s", 0.05), ("2 s", 2.0), ("0.1ms", 0.0001)])
def test_a_time_has_its_unit(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["50", "0ms", "-5ms", "1h", "61s", "1e3ms", "fast", ""])
def test_any_other_time_is_refused(text):
    with pytest.raises(click.BadParameter, match=r"is not a time of 0\.1ms to 60s; write 50ms, or 0\.05s"):
        duration(text)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--streams", 0), "0 is not in the range"),
        (("--streams", "many"), "'many' is not a valid integer"),
        (("--streams", 2, "--fps", 0), "0.0 is not in the range"),
        (("--streams", 2, "--deadline", 50), "'50' is not a time"),
        (("--fps", 25), "--fps needs --streams, the largest number to try"),
        (("--deadline", "50ms"), "--deadline needs --streams, the largest number to try"),
    ],
)
def test_a_value_that_means_nothing_is_one_line(shell, asked, said):
    ended = shell("bench", "demo", *asked)
    assert ended.code == 2
    assert said in ended.err.splitlines()[-1]


@pytest.fixture
def short_loads(monkeypatch):
    monkeypatch.setattr(streams, "SHORTEST_S", 0.5)
    monkeypatch.setattr(streams, "LONGEST_S", 1.0)


@pytest.mark.usefixtures("short_loads")
def test_the_answer_is_in_text_csv_and_json(shell, demo_onnx, tmp_path):
    data, table, record = "synthetic:2:0:48x64", tmp_path / "t.csv", tmp_path / "r.json"
    asked = ("--streams", 1, "--fps", 2, "--deadline", "30s")
    ended = shell("bench", demo_onnx, "--data", data, *QUICK, *asked, "--csv", table, "--json", record)
    assert ended.code == 0, ended.err
    assert "onnxruntime holds 1 stream of 2 images/s within 30000 ms" in " ".join(ended.out.split())
    assert [line["streams_held"] for line in csv.DictReader(table.open())] == ["1"]
    read = json.loads(record.read_text())
    assert read["settings"]["streams"] == {"most": 1, "fps": 2.0, "deadline_s": 30.0}
    assert [load["streams"] for load in read["rows"][0]["measurements"][0]["loads"]] == [1]


@pytest.mark.usefixtures("short_loads")
def test_a_deadline_that_cannot_be_met_is_a_result(shell, demo_onnx):
    ended = shell("bench", demo_onnx, "--data", "synthetic:1:0:192x256", *QUICK, "--streams", 1, "--deadline", "0.1ms")
    assert ended.code == 0, ended.err
    assert "no row serves 1 stream of 30 images/s within 0.1 ms" in " ".join(ended.out.split())


def test_an_option_that_an_engine_had_says_its_name_of_today(shell, tmp_path):
    ended = shell("predict", "demo", tmp_path, "-o", tmp_path / "out", "--streams", 2)
    assert ended.code == 2
    assert "Did you mean --contexts? It is how many inferences of an engine run at once" in ended.err
