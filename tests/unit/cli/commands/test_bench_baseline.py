"""`bench --from` and `--baseline` on the command line: nothing is measured, so records by hand are enough."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fcn_deploy.benchmark.record.file import read_record, write_record
from fcn_deploy.cli.commands import bench
from fcn_deploy.cli.main import cli
from fcn_deploy.cli.options.gate import Gate
from fcn_deploy.errors import FcnDeployError, RecordError
from tests.support import GOLDEN
from tests.support.bench_records import MS, RECORD, REFERENCE, ROWS, WORSE, remeasured

ROUNDS = 12


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ("bench", *arguments))
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def saved(tmp_path):
    """Writes a record of 12 rounds whose second row takes so long (20 ms unless said) and is as accurate as said."""

    def write(name: str, execute_ms: int = 17, accuracy=REFERENCE, **changes) -> str:
        rows = [
            remeasured(row, latency=replace(row.own.latency, **{step: (ns,) * ROUNDS for step, ns in steps.items()}))
            for row, steps in zip(ROWS[:2], (step_times(37), step_times(execute_ms)), strict=True)
        ]
        rows[1] = remeasured(rows[1], accuracy=accuracy)
        record = replace(RECORD, rounds=(0,) * ROUNDS, rows=tuple(rows), **changes)
        write_record(tmp_path / name, record)
        return str(tmp_path / name)

    return write


def step_times(execute_ms: int) -> dict[str, int]:
    return {"upload_ns": MS, "execute_ns": execute_ms * MS, "download_ns": 2 * MS}


def test_a_record_is_shown_again_without_measuring(saved):
    result = invoke("--from", saved("run.json"))
    assert result.exit_code == 0
    assert result.stdout.startswith("ship ")
    assert "onnxruntime ok" in " ".join(result.stdout.split())
    detailed = invoke("--from", saved("run.json"), "--details")
    assert "bound by compute: 92 % of 40 ms" in " ".join(detailed.stdout.split())


def test_a_record_of_schema_1_is_shown_again_and_written_in_the_schema_of_today(tmp_path):
    old = GOLDEN / "bench_schema1.json"
    result = CliRunner().invoke(cli, ("bench", "--from", str(old), "--json", str(tmp_path / "new.json")))
    assert "pytorch" in result.stdout
    assert str(result.exception) == "onnxruntime:tensorrt: ran out of memory"  # of the row that had failed
    assert read_record(tmp_path / "new.json") == read_record(old)
    assert json.loads((tmp_path / "new.json").read_text())["schema"] > 1


def test_details_are_printed_on_request(saved):
    path = saved("run.json", accuracy=WORSE)
    assert "class pytorch" not in " ".join(invoke("--from", path).stdout.split())
    text = " ".join(invoke("--from", path, "--details").stdout.split())
    assert "class pytorch onnxruntime" in text
    assert "road 90.00 -40.00" in text
    assert max(map(len, invoke("--from", path, "--details").stdout.splitlines())) <= 100


def test_a_row_that_got_worse_ends_with_code_3_and_says_which_and_why(saved):
    limits = ("--max-miou-drop", "0.3", "--max-slowdown", "5%")
    result = invoke("--from", saved("now.json", 27, WORSE), "--baseline", saved("then.json"), *limits)
    assert result.exit_code == 3
    slower, drop = result.stderr.splitlines()  # each once, one of them in the last line
    against = "broken against the baseline of 2026-01-02T03:04:05+00:00: onnxruntime"
    assert slower.startswith(f"{against}: 50.0 %")
    assert drop.startswith(f"FAIL: {against}: mean IoU")
    assert drop.endswith(" (and 1 more, see above)")
    # class 0: 90 of 100 then, 50 of 100 now; class 1: 100 of 110 and 100 of 150
    assert "onnxruntime: mean IoU fell by 32.12 points, 90.45 to 58.33 (the bare difference" in drop
    assert "onnxruntime: 50.0 % slower (20 ms then, 30 now" in slower
    assert "at most 5 % is allowed" in slower


def test_what_the_answer_says_on_a_terminal_does_not_come_again(saved, monkeypatch):
    limits = ("--from", saved("now.json", 7, WORSE), "--max-class-drop", "pole=1", "--max-miou-drop", "0.3")
    said = list[set[str]]()
    monkeypatch.setattr(Gate, "say", lambda self, gate, shown: said.append(shown))
    invoke(*limits)
    monkeypatch.setattr(bench, "one_terminal", lambda: True)
    result = invoke(*limits)
    assert said[0] == set()
    (line,) = (line for line in said[1] if line.startswith("broken: onnxruntime: mean IoU fell by 32.12 points"))
    assert line.partition(": ")[2] in " ".join(result.stdout.split())


def test_a_row_that_did_not_get_worse_ends_with_code_0(saved):
    limits = ("--max-miou-drop", "0.3", "--max-slowdown", "5 %")
    result = invoke("--from", saved("now.json", 17), "--baseline", saved("then.json"), *limits)
    passed = "no worse than the baseline of 2026-01-02T03:04:05+00:00 by --max-miou-drop 0.3, --max-slowdown 5%"
    assert (result.exit_code, result.stderr) == (0, f"PASS: onnxruntime, pytorch: {passed}\n")
    assert "Against the baseline of 2026-01-02" in result.stdout
    assert "+0.0 % (+0.0 to +0.0) equal 90.45 90.45 0" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_without_limits_a_comparison_is_shown_and_nothing_fails(saved):
    result = invoke("--from", saved("now.json", 99, WORSE), "--baseline", saved("then.json"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "slower" in result.stdout


def test_the_comparison_is_in_the_json_and_the_file_is_still_a_record(saved, tmp_path):
    out = tmp_path / "out.json"
    arguments = ("--baseline", saved("then.json"), "--max-slowdown", "5%", "--json", str(out))
    assert invoke("--from", saved("now.json", 27), *arguments).exit_code == 3
    whole = json.loads(out.read_text())
    assert whole["comparison"]["rows"][1]["speed"][0]["ratio"]["value"] == pytest.approx(1.5)
    assert whole["gate"]["broken"][0].startswith("onnxruntime: 50.0 % slower")
    assert (whole["gate"]["verdict"], whole["gate"]["exit_code"]) == ("FAIL", 3)
    assert read_record(out).rows[1].own.latency.execute_ns[0] == 27 * MS


def test_another_machine_leaves_accuracy_to_judge_by_and_says_so(saved):
    elsewhere = saved("then.json", environment=RECORD.environment | {"cpu": "Other CPU"})
    result = invoke("--from", saved("now.json", 99), "--baseline", elsewhere, "--max-slowdown", "5%")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    reason = "not judged: pytorch, onnxruntime: --max-slowdown: the baseline was measured on another machine"
    assert result.stderr.startswith(reason)
    assert result.stderr.endswith(", but not every limit was judged (see above)\n")
    assert "times are not compared, accuracy alone is: the baseline was measured on another machine (Other CPU" in text


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--max-slowdown", "5"), "'5' is not a percentage from 0% to 10000%; write 5%"),
        (("--max-slowdown", "0.05"), "'0.05' is not a percentage"),
        (("--max-slowdown", "-5%"), "'-5%' is not a percentage"),
        (("--max-slowdown", "nan%"), "'nan%' is not a percentage"),
        (("--max-slowdown", "five%"), "'five%' is not a percentage"),
        (("--max-slowdown", ""), "it is empty"),
        (("--max-miou-drop", "0.3%"), "'0.3%' is not a number of points from 0 to 100; write 0.3"),
        (("--max-miou-drop", "-1"), "'-1' is not a number of points"),
        (("--max-miou-drop", "nan"), "'nan' is not a number of points"),
        (("--max-miou-drop", "101"), "'101' is not a number of points"),
    ],
)
def test_limits_written_wrongly_are_usage_errors(saved, arguments, found):
    path = saved("run.json")
    result = invoke("--from", path, "--baseline", path, *arguments)
    assert result.exit_code == 2
    assert found in " ".join(result.stderr.split())


@pytest.mark.parametrize("limit", [("--max-slowdown", "5%"), ("--relative",)])
def test_a_limit_on_time_without_a_baseline_is_a_usage_error(limit):
    result = invoke(*limit)
    assert result.exit_code == 2
    assert f"{limit[0]} needs --baseline" in result.stderr


def test_what_says_how_to_measure_is_refused_where_nothing_is_measured(saved):
    result = invoke("other.onnx", "--from", saved("run.json"), "--radius", "5", "--runners", "pytorch")
    assert result.exit_code == 2
    assert "--from measures nothing; leave out" in result.stderr
    for name in ("MODEL", "--radius", "--runners"):
        assert name in result.stderr


def test_a_baseline_that_is_not_a_record_is_reported_before_anything_is_measured(saved, tmp_path):
    whole = Path(saved("run.json")).read_text()
    (tmp_path / "cut.json").write_text(whole[: len(whole) // 2])
    (tmp_path / "other.json").write_text('{"kind": "accuracy"}')
    for name, found in (("cut", "is not JSON"), ("other", "is not a benchmark record"), ("gone", "does not exist")):
        with pytest.raises(RecordError, match=rf"{name}\.json.* {found}"):
            invoke("demo", "--baseline", str(tmp_path / f"{name}.json"))


def test_a_baseline_of_another_model_is_compared_and_the_change_is_reported(saved):
    then = saved("then.json", model=replace(RECORD.model, name="old.onnx", sha256="1" * 64))
    result = invoke("--from", saved("now.json", 27), "--baseline", then, "--max-slowdown", "5%")
    assert result.exit_code == 3
    assert "the model changed: old.onnx (SHA-256 11111111...) then, m.onnx" in " ".join(result.stdout.split())


def test_a_limit_on_accuracy_needs_a_baseline_that_has_some(saved):
    blind = saved("then.json", accuracy=None)
    record = read_record(Path(blind))
    write_record(Path(blind), replace(record, rows=record.rows[1:]))
    with pytest.raises(RecordError, match="holds no accuracy; --max-miou-drop needs one of labelled images"):
        invoke("--from", saved("now.json"), "--baseline", blind, "--max-miou-drop", "0.3")


def test_minus_prints_markdown_or_csv_instead_of_the_table(saved):
    record = saved("run.json")
    markdown, lines = invoke("--from", record, "--markdown", "-"), invoke("--from", record, "--csv", "-")
    assert markdown.stdout.startswith("#")
    assert "| onnxruntime |" in markdown.stdout
    assert lines.stdout.startswith("runner,")
    assert "bound by compute" not in lines.stdout


def test_only_one_report_is_printed(saved):
    result = invoke("--from", saved("run.json"), "--csv", "-", "--json", "-")
    assert result.exit_code == 2
    assert "- prints one of" in result.stderr


def test_files_that_were_written_are_named_unless_quiet(saved, tmp_path):
    arguments = ["--from", saved("run.json"), "--csv", str(tmp_path / "rows.csv"), "--json", str(tmp_path / "x.json")]
    assert invoke(*arguments).stderr == f"wrote {tmp_path / 'x.json'}\nwrote {tmp_path / 'rows.csv'}\n"
    assert invoke(*arguments, "--quiet").stderr == ""
