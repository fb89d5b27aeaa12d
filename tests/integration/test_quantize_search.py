"""`fcn-deploy quantize --max-miou-drop`: the layer at fault is found, and a search that was stopped goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fcn_deploy.cli.commands.quantize import command
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import (
    DataError,
    FcnDeployError,
    GraphError,
    OutputError,
    RecipeError,
    RecordError,
    SearchError,
    UnknownNameError,
)
from fcn_deploy.graph.float_layers import KEEP_KEY
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.quantization.options import QuantizeOptions
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.search import cache as search_cache
from fcn_deploy.quantization.search.dry_run import plan_search
from fcn_deploy.quantization.search.options import SearchOptions
from fcn_deploy.system.progress import SILENT, Task
from tests.support.planted_channel import label_scenes, planted_fcn, quantize_all

COUNT = 4
BUDGET = 2.0
ALL = ("--quantize-first", "--quantize-scores")


def _quantize(*arguments: object) -> Result:
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    return result


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    return planted_fcn(tmp_path / "planted.onnx")


@pytest.fixture
def scenes(planted: Path, tmp_path: Path) -> Path:
    label_scenes(tmp_path / "scenes", planted, COUNT, (46, 48))
    (tmp_path / "scenes" / "classes.txt").write_text("road\ncar\nsky\n")
    return tmp_path / "scenes"


def _arguments(model: Path, scenes: Path, out: Path) -> tuple[object, ...]:
    calibration = ("--precision", "int8", "--calib", scenes / "photos", "--method", "minmax")
    return (
        model,
        "--no-equalize",
        *calibration,
        "--data",
        scenes / "photos",
        "--data-labels",
        scenes / "maps",
        "-o",
        out,
    )


def test_equalised_channels_leave_nothing_to_search_for(planted, scenes, tmp_path):
    arguments = [each for each in _arguments(planted, scenes, tmp_path / "q.onnx") if each != "--no-equalize"]
    result = _quantize(*arguments, *ALL, "--max-miou-drop", BUDGET, "--json", tmp_path / "r.json")
    assert "channels equalised, by factors that span: conv2 (" in result.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["search"]["keep_float"] == []
    assert report["agreed"][0] > 0.95 * report["agreed"][1]


def _search(model: Path, scenes: Path, out: Path, *, max_miou_drop: float = BUDGET, **more: Any) -> QuantizeReport:
    photos, maps = str(scenes / "photos"), str(scenes / "maps")
    search = SearchOptions(DataOptions(photos, maps), max_miou_drop)
    return quantize_all(model, out, photos, search=search, **more)


@pytest.mark.parametrize("extra", [(), ("--precision", "int8+fp16")])
def test_the_planted_layer_and_no_other_is_left_in_float(planted, scenes, tmp_path, extra):
    out = tmp_path / "q.onnx"
    result = _quantize(
        *_arguments(planted, scenes, out), *ALL, "--max-miou-drop", BUDGET, *extra, "--json", tmp_path / "r.json"
    )
    assert result.exit_code == 0, result.output
    assert "1 layer of 5 left in float" in result.stdout
    assert 'for a recipe: keep_float = ["conv3"]' in result.stdout
    found = json.loads((tmp_path / "r.json").read_text())["search"]
    assert found["kept"] == found["keep_float"] == ["conv3"]
    assert found["fp32"] == 100
    drops = {layer["name"]: layer["drop"] for layer in found["layers"]}
    assert set(drops) == {"conv1", "conv2", "conv3", "score_fr", "score_pool"}
    assert drops["conv3"] > 5 * max(value for name, value in drops.items() if name != "conv3")
    assert found["fp32"] - found["int8"] > BUDGET >= found["fp32"] - found["found"]
    assert found["steps"] == 8  # FP32, all, five layers, one set
    reasons = {node.name: node.metadata_props.get(KEEP_KEY) for node in load_graph(out).graph}
    assert reasons["conv3"] == "by the layer search"
    # What is written is what was measured.
    assert _miou(out, scenes) == pytest.approx(found["found"], abs=1e-9)
    onnx.checker.check_model(onnx.load(out), full_check=True)


def test_for_the_cpu_the_layer_before_the_planted_one_goes_with_it(planted, scenes, tmp_path):
    # There the pair stands on the tensor: conv3 in float still reads 8 bits, as long as conv2 ends in them.
    arguments = (*_arguments(planted, scenes, tmp_path / "q.onnx"), *ALL, "--target", "cpu")
    result = _quantize(*arguments, "--max-miou-drop", BUDGET, "--json", "-")
    found = json.loads(result.stdout)["search"]
    # Without VNNI sums of 16 bits overflow in a network as small as this one, and more layers stay in float.
    has_vnni = "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    assert found["kept"] == ["conv2", "conv3"] if has_vnni else {"conv2", "conv3"} <= set(found["kept"])
    assert _miou(tmp_path / "q.onnx", scenes) == pytest.approx(found["found"], abs=1e-9)


def _miou(path: Path, scenes: Path) -> float:
    """Written out here: mean over the classes of intersection over union, in points."""
    session = open_cpu_session(path)
    truth, labels = [], []
    for index in range(COUNT):
        image = np.asarray(Image.open(scenes / "photos" / f"{index}.png"))[None]
        labels.append(session.run(["labels"], {"image": image})[0].ravel())
        truth.append(np.asarray(Image.open(scenes / "maps" / f"{index}.png")).ravel())
    a, b = np.concatenate(truth), np.concatenate(labels)
    return float(np.mean([100 * ((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in range(3)]))


def test_a_budget_that_all_of_int8_meets_is_met_at_once(planted, scenes, tmp_path):
    result = _quantize(*_arguments(planted, scenes, tmp_path / "q.onnx"), "--max-miou-drop", 90)
    assert "no layer has to be left in float" in result.output
    assert "passed: mean IoU fell by " in result.output
    assert "; at most 90 are allowed" in result.output
    assert "keep_float = []" in result.output
    assert len((tmp_path / "q.onnx.search.jsonl").read_text().splitlines()) == 3  # which search, FP32, all in INT8


def test_limits_near_label_changes_and_of_classes_decide_too_and_share_the_steps_of_one_log(planted, scenes, tmp_path):
    out = tmp_path / "q.onnx"
    loose = _quantize(*_arguments(planted, scenes, out), *ALL, "--max-miou-drop", 90)
    assert "no layer has to be left in float" in loose.stdout
    for limits in (("--max-boundary-drop", 8), ("--max-miou-drop", 90, "--max-class-drop", "car=4,sky=50")):
        result = _quantize(*_arguments(planted, scenes, out), *ALL, *limits, "--json", tmp_path / "r.json")
        assert result.exit_code == 0, result.output
        found = json.loads((tmp_path / "r.json").read_text())["search"]
        assert found["kept"] == ["conv3"]
        assert {each["verdict"] for each in found["judged"]} == {"passed"}
    assert (found["steps_before"], found["steps"]) == (8, 8)
    assert [each["limit"]["figure"] for each in found["judged"]] == ["mean IoU", "IoU of car", "IoU of sky"]
    lines = result.stdout.splitlines()
    assert any(line.startswith("  broken: IoU of car fell by ") for line in lines)
    assert sum(line.startswith("  passed: ") for line in lines) == 3
    assert any(line.startswith("conv3") and " car " in line and " of 4 " in line for line in lines)
    with pytest.raises(RecordError, match=r"differs in radius \(3, now 2\)"):
        _quantize(*_arguments(planted, scenes, out), *ALL, *limits, "--radius", 2)


def test_a_limit_on_a_class_that_is_not_there_is_refused_before_anything_is_measured(planted, scenes, tmp_path):
    arguments = _arguments(planted, scenes, tmp_path / "q.onnx")
    for extra in ((), ("--dry-run",)):
        with pytest.raises(UnknownNameError, match="unknown class 'cars'; did you mean car"):
            _quantize(*arguments, "--max-class-drop", "cars=1", *extra)
    for path in (scenes / "maps").iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[labels == 1] = 255
        Image.fromarray(labels).save(path)
    with pytest.raises(
        DataError, match="IoU of car: the ground truth has no pixel of it; at most 1 are allowed; leave"
    ):
        _quantize(*arguments, "--max-class-drop", "car=1")


def test_a_budget_that_cannot_be_met_says_how_close_it_came_and_writes_nothing(planted, scenes, tmp_path):
    out = tmp_path / "q.onnx"
    with pytest.raises(SearchError) as told:
        _quantize(*_arguments(planted, scenes, out), *ALL, "--max-miou-drop", -1)
    steps = [json.loads(line) for line in (tmp_path / "q.onnx.search.jsonl").read_text().splitlines()[1:]]
    best = max(step["miou"] for step in steps if step["step"] == "kept")
    message = str(told.value)
    assert f"FP32 has 100.000, the closest came to {best:.3f}" in message
    assert "of 5 layers in float (" in message
    assert f"{len(steps)} steps are in {out}.search.jsonl" in message
    assert not out.exists()
    # The advice holds, and the same steps serve the other budget.
    advice = float(message.split("--max-miou-drop ")[1].split(")")[0])
    result = _quantize(*_arguments(planted, scenes, out), *ALL, "--max-miou-drop", advice)
    assert result.exit_code == 0, result.output
    assert f"{len(steps)} of them before" in result.stdout


class _PressingCtrlC:
    """Progress that presses Ctrl-C after so many images of steps of the search."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.lines: list[str] = []

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Task]:
        measuring = description in ("FP32", "all in INT8") or description.startswith(("INT8 with", "conv", "score"))
        with SILENT.task(description, total) as task:
            yield self if measuring else task

    def advance(self, steps: float = 1, note: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_search_that_is_stopped_in_every_step_ends_as_an_unbroken_one_and_repeats_no_finished_step(
    planted, scenes, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    unbroken = _search(planted, scenes, tmp_path / "a.onnx")
    log, out = tmp_path / "b.onnx.search.jsonl", tmp_path / "b.onnx"
    finished = 0
    while True:
        # In the middle of the second step from here: one step is gained by each run.
        progress = _PressingCtrlC(after=COUNT + 2 if finished == 0 else 2 * COUNT + 2)
        try:
            report = _search(planted, scenes, out, progress=progress)
            break
        except KeyboardInterrupt:
            steps = len(log.read_text().splitlines()) - 1
            assert finished < steps <= finished + 2
            assert f"{steps} steps are in {log}; the same command goes on after them" in progress.lines
            assert not out.exists()
            assert not list((tmp_path / "temporary").iterdir())
            finished = steps
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert _without_seconds(lines) == _without_seconds(
        [json.loads(line) for line in unbroken.search.log.read_text().splitlines()]
    )
    assert report.search.layers == unbroken.search.layers
    assert report.search.kept == ("conv3",)
    assert out.read_bytes() == (tmp_path / "a.onnx").read_bytes()


def _without_seconds(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in lines]


def test_a_search_cut_by_kill_within_a_line_repeats_that_step_alone(planted, scenes, tmp_path):
    out, log = tmp_path / "q.onnx", tmp_path / "q.onnx.search.jsonl"
    _search(planted, scenes, out)
    whole = log.read_text()
    log.write_text(whole[: -len(whole.splitlines()[-1]) // 2])
    report = _search(planted, scenes, out)
    assert (report.search.steps_before, report.search.steps) == (7, 8)
    assert report.search.kept == ("conv3",)


def test_the_log_of_another_search_is_refused_before_its_first_step(planted, scenes, tmp_path):
    arguments = (*_arguments(planted, scenes, tmp_path / "q.onnx"), "--max-miou-drop", 90)
    _quantize(*arguments)
    log = (tmp_path / "q.onnx.search.jsonl").read_text()
    for change, named in (
        (("--method", "mse"), "ranges"),
        (("--keep", "conv2"), "layers"),
        (("--target", "cpu"), "target"),
        (("--max-search-images", "2"), "images"),
        (("--precision", "int8+fp16"), "precision"),
    ):
        with pytest.raises(RecordError, match=rf"log of another search: it differs in .*{named} \("):
            _quantize(*arguments, *change)
    Image.fromarray(np.full((34, 46), 1, np.uint8)).save(scenes / "maps" / "0.png")
    with pytest.raises(RecordError, match=r"differs in image_digest \("):
        _quantize(*arguments)
    assert (tmp_path / "q.onnx.search.jsonl").read_text() == log
    assert _quantize(*arguments, "--search-log", tmp_path / "other.jsonl").exit_code == 0
    assert (tmp_path / "other.jsonl").is_file()


def test_the_log_distinguishes_weights_next_to_the_file(planted, scenes, tmp_path):
    """The .onnx file itself is then the same for every training of a network."""
    onnx.save(onnx.load(planted), planted, save_as_external_data=True, location="data.bin", size_threshold=0)
    found = []
    for name in ("a", "b"):
        before = planted.read_bytes()
        _quantize(*_arguments(planted, scenes, tmp_path / f"{name}.onnx"), "--max-miou-drop", 100)
        header = (tmp_path / f"{name}.onnx.search.jsonl").read_text().splitlines()[0]
        found.append(json.loads(header)["key"]["model"])
        data = bytearray((tmp_path / "data.bin").read_bytes())
        data[0] ^= 1  # the lowest bit of the first weight
        (tmp_path / "data.bin").write_bytes(data)
        assert planted.read_bytes() == before
    assert found[0] != found[1]


def test_without_time_no_layer_is_measured_and_the_message_says_what_is_known(planted, scenes, tmp_path):
    with pytest.raises(SearchError, match=r"the time was up before .* with 0 of 5 layers in float"):
        _quantize(
            *_arguments(planted, scenes, tmp_path / "q.onnx"), *ALL, "--max-miou-drop", BUDGET, "--time-budget", 0
        )


def test_when_the_time_is_up_the_choice_is_kept_and_what_was_not_measured_is_named(
    planted, scenes, tmp_path, monkeypatch
):
    from fcn_deploy.quantization.search.search import _Search

    # Time for two layers to be measured, then for every set.
    left = iter([100.0, 100.0, -1.0, -1.0, -1.0])
    monkeypatch.setattr(_Search, "_remaining_seconds", lambda self: next(left, 100.0))
    report = _search(planted, scenes, tmp_path / "q.onnx", max_miou_drop=5).search
    assert [layer.name for layer in report.measured] == ["conv1", "conv2"]
    assert not report.complete
    assert "conv3" in report.kept
    from fcn_deploy.quantization.search.text import remarks

    assert remarks(report)[0].endswith("not measured alone: conv3, score_fr, score_pool")


def test_a_dry_run_shows_steps_time_and_space_and_writes_nothing(planted, scenes, tmp_path):
    arguments = (*_arguments(planted, scenes, tmp_path / "out" / "q.onnx"), *ALL, "--max-miou-drop", 1, "--dry-run")
    result = _quantize(*arguments)
    assert result.exit_code == 0, result.output
    assert "search of 5 layers on 4 images" in result.output
    assert "layers: conv1, conv2, conv3, score_fr, score_pool" in result.output
    assert "nothing was written" in result.output
    plan = json.loads(_quantize(*arguments, "--json", "-").stdout)
    # The fullest cut is before conv1: 3 channels of floats of 34 x 46 pixels, of 4 images.
    assert plan["cached_bytes"] == 4 * 3 * 34 * 46 * 4
    assert 0 < plan["pass_seconds"] < plan["least_seconds"] < plan["most_seconds"]
    least = plan["read_seconds"] + plan["pass_seconds"] + plan["set_seconds"]
    assert plan["least_seconds"] == pytest.approx(least)
    assert plan["most_seconds"] == pytest.approx(least + plan["own_seconds"] + plan["most_sets"] * plan["set_seconds"])
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_dry_run_is_right_within_a_third(planted, tmp_path):
    """Of the steps that a search then takes; timed up to three times, as other work may run next to one of them."""
    many = tmp_path / "many"
    label_scenes(many, planted, 120)
    images = DataOptions(str(many / "photos"), str(many / "maps"))
    options = QuantizeOptions(
        planted, "int8", images, "minmax", quantize_first=True, quantize_scores=True, equalize=False,
        search=SearchOptions(images, BUDGET),
    )  # fmt: skip
    ratios: list[float] = []
    for attempt in range(3):
        plan = plan_search(options, tmp_path / "q.onnx")
        report = _search(planted, many, tmp_path / f"{attempt}.onnx").search
        sets = report.steps - 2 - len(report.layers)
        ratios.append(plan.seconds_for(sets) / report.seconds)
        if 3 / 4 <= ratios[-1] <= 4 / 3:
            return
    pytest.fail(f"estimated over taken: {ratios}")


def test_too_little_disk_is_reported_before_the_layers(planted, scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(search_cache, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(
        OutputError, match=r"GB of activations in .* are free; take fewer images \(--max-search-images\)"
    ):
        _quantize(*_arguments(planted, scenes, tmp_path / "q.onnx"), *ALL, "--max-miou-drop", BUDGET)
    assert not (tmp_path / "q.onnx").exists()


def test_the_log_cannot_be_one_of_the_models(planted, scenes, tmp_path):
    arguments = (*_arguments(planted, scenes, tmp_path / "q.onnx"), "--max-miou-drop", BUDGET, "--search-log")
    with pytest.raises(OutputError, match=r"planted\.onnx cannot be a model and the search log"):
        _quantize(*arguments, tmp_path / "planted.onnx")
    done = _quantize(*arguments, tmp_path / "q.onnx")
    assert "--search-log and --output need a file each; both name the same one" in done.output


def test_images_without_labels_are_refused(planted, scenes, tmp_path):
    arguments = (planted, "--precision", "int8", "--calib", scenes / "photos", "--data", scenes / "photos")
    for extra in ((), ("--dry-run",)):
        with pytest.raises(DataError, match=r"0\.png has no labels; a search needs a labelled data set"):
            _quantize(*arguments, "--max-miou-drop", 1, "-o", tmp_path / "q.onnx", *extra)


def test_labels_without_a_labelled_pixel_are_refused(planted, scenes, tmp_path):
    for path in (scenes / "maps").iterdir():
        Image.fromarray(np.full(np.asarray(Image.open(path)).shape, 255, np.uint8)).save(path)
    with pytest.raises(DataError, match="has no labelled pixel"):
        _quantize(*_arguments(planted, scenes, tmp_path / "q.onnx"), "--max-miou-drop", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-miou-drop", "1"), "--max-miou-drop needs a labelled set"),
        (("--max-class-drop", "car=1"), "--max-class-drop needs a labelled set"),
        (("--max-class-drop", "car", "--data", "x"), "'car' is not CLASS=POINTS; write pole=1"),
        (("--radius", "2"), "--radius needs a limit"),
        (("--data", "x"), "--data needs a limit, such as --max-miou-drop 0.3, which starts the search"),
        (("--dry-run",), "--dry-run needs a limit"),
        (("--time-budget", "5"), "--time-budget needs a limit"),
        (("--max-miou-drop", "nan", "--data", "x"), "'nan' is not a number of points"),
        (("--max-miou-drop", "1", "--data", "x", "--time-budget", "nan"), "nan is not in the range 0<=x<=10000000"),
    ],
)
def test_options_of_a_search_that_are_given_alone_are_usage_errors(planted, scenes, tmp_path, arguments, words):
    result = _quantize(planted, "--precision", "int8", "--calib", scenes / "photos", "-o", tmp_path / "q", *arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_fp16_has_no_layers_to_search(planted, scenes, tmp_path):
    with pytest.raises(GraphError, match="fp16 has none; use int8"):
        _quantize(
            planted, "--precision", "fp16", "--calib", scenes / "photos", "--data", scenes / "photos",
            "--data-labels", scenes / "maps", "--max-miou-drop", 1, "-o", tmp_path / "q.onnx",
        )  # fmt: skip


def test_the_recipe_line_pasted_into_a_recipe_gives_the_same_file_without_a_search(planted, scenes, tmp_path):
    searched, again = tmp_path / "a.onnx", tmp_path / "b.onnx"
    result = _quantize(*_arguments(planted, scenes, searched), "--keep", "conv1", "--max-miou-drop", BUDGET)
    line = result.stdout.split("for a recipe: ")[1].splitlines()[0]
    assert line == 'keep_float = ["conv1", "conv3"]'
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'name = "r"\nmodel = "fcn8s"\ncheckpoint = "r.pth"\nurl = "https://example.org"\n{line}\n')
    calibration = ("--precision", "int8", "--calib", scenes / "photos", "--method", "minmax")
    result = _quantize(planted, *calibration, "--recipe", recipe, "-o", again)
    assert result.exit_code == 0, result.output
    assert _integers(again) == _integers(searched)


def _integers(path: Path) -> set[str]:
    """The weights in 8 bits."""
    return {tensor.name for tensor in onnx.load(path).graph.initializer if tensor.name.endswith("/int8")}


def test_a_recipe_that_names_no_node_of_the_graph_or_is_not_a_recipe_is_refused(planted, scenes, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "r"\nmodel = "fcn8s"\ncheckpoint = "r.pth"\nurl = "u"\nkeep_float = ["conv33"]\n')
    arguments = (planted, "--precision", "int8", "--calib", scenes / "photos", "-o", tmp_path / "q.onnx")
    with pytest.raises(UnknownNameError, match="unknown node 'conv33'; did you mean conv3"):
        _quantize(*arguments, "--recipe", recipe)
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        _quantize(*arguments, "--recipe", tmp_path / "none.toml")
