"""Labels of a chain of stages, and when a step is said to diverge."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from fcn_deploy.data.sample import Sample
from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.result import Change
from fcn_deploy.diagnosis.stage_labels import run_chain
from fcn_deploy.diagnosis.stages import Stage, chain
from fcn_deploy.diagnosis.tolerances import TOLERANCES, limits_of, with_changes
from fcn_deploy.diagnosis.verdict import label_reasons, layer_reasons, only_rounding
from fcn_deploy.errors import EngineError, GraphError, RunnerError, UnknownNameError
from fcn_deploy.metrics.agreement import Share
from fcn_deploy.metrics.bootstrap import Interval, IouChange
from tests.support.fake_runners import FakeRunner
from tests.support.small_fcn import write_fcn

# 4 classes, one row each of 9 pixels; the label of a pixel is its red value
TARGET = np.repeat(np.arange(4, dtype=np.uint8), 9).reshape(4, 9)


class Samples:
    name, classes, palette = "scenes", ("a", "b", "c", "d"), ()

    def __init__(self, count: int, *, labelled: bool = True) -> None:
        self._count, self._labelled = count, labelled

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        if index >= self._count:
            raise IndexError
        image = np.zeros((*TARGET.shape, 3), np.uint8)
        image[..., 0] = TARGET
        return Sample(image, TARGET if self._labelled else None, f"scene {index}")


def stage(name: str, **options: object) -> Stage:
    return Stage(name, "onnx", f"{name}.onnx", "fp32", None, runner=FakeRunner(name, **options))  # type: ignore[arg-type]


def top_row_is_class_1(labels: np.ndarray) -> np.ndarray:
    labels[:, 0] = 1
    return labels


def run(stages: Sequence[Stage], count: int = 3, **options: object):
    settings = {"num_classes": 4, "keep": 2, "radius": 1} | options
    return run_chain(stages, Samples(count), **settings)  # type: ignore[arg-type]


def test_each_stage_is_counted_against_the_one_before_and_the_first():
    found = run([stage("a"), stage("b", change=top_row_is_class_1), stage("c", change=top_row_is_class_1)])
    _, b, c = found.stages
    assert (b.before.overall.agreed, b.before.overall.pixels) == (3 * 27, 3 * 36)
    assert (c.before.overall.agreed, c.first.overall.agreed) == (3 * 36, 3 * 27)
    assert c.counts[2].tolist() == [[0, 9, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]]
    assert found.names == ["scene 0", "scene 1", "scene 2"]
    assert [image.shape for image in found.kept] == [(1, 4, 9, 3)] * 2


def test_logits_of_the_first_stage_tell_how_sure_it_was_where_labels_differ():
    first = stage("a")
    first.runner.output_names = ("labels", "logits")  # type: ignore[union-attr]
    found = run([first, stage("b", change=top_row_is_class_1)])
    assert found.largest_logit == 1
    assert found.stages[1].first.largest_margin == 1
    assert run([stage("a"), stage("b")]).largest_logit is None


def test_a_stage_that_fails_half_way_is_marked_and_the_next_is_compared_with_the_one_before_it():
    stages = [stage("a"), stage("b", change=top_row_is_class_1, fail_at=2), stage("c", change=top_row_is_class_1)]
    found = run(stages)
    assert (stages[1].status, stages[1].reason) == ("failed", "b ran out of memory")
    assert [entry.stage.name for entry in found.stages] == ["a", "c"]
    assert found.stages[1].before.overall.agreed == 3 * 27  # against a, on all three images
    assert len(found.names) == 3


def test_fewer_than_two_stages_that_run_are_refused_with_all_reasons():
    skipped = Stage("x.engine", "engine", "x.engine", "fp16", None, status="skipped", reason="no GPU")
    bad = stage("b", change=lambda labels: labels * 3, num_classes=10)
    with pytest.raises(
        RunnerError, match=r"1 of 3 stages runs.*x\.engine: no GPU; b: b gives label 9, but there are 4"
    ):
        run([stage("a"), skipped, bad])


def change(differing: float, lost: float | None = None, better_end: float | None = None) -> Change:
    share = Share(round(10_000 * (1 - differing)), 10_000)
    iou = (
        None
        if lost is None
        else IouChange(Interval(-lost / 100, -1.0, None if better_end is None else -better_end / 100), ())
    )
    return Change("earlier", share, share, iou)


LIMITS = TOLERANCES["int8"]  # 2 % of the labels, 0.3 points


def test_labels_beyond_the_limit_are_told_and_an_earlier_stages_fault_is_not():
    assert label_reasons([change(0.03), change(0.05)], LIMITS, 0) == ["3.00% of the labels differ (limit 2.00%)"]
    assert label_reasons([change(0.03), change(0.01)], LIMITS, 0) == []  # the one before is at fault
    assert label_reasons([change(0.01), change(0.03)], LIMITS, 0) == []  # handed on
    assert label_reasons([change(0.03), change(0.03)], LIMITS, 0, rounding=True) == []


def test_a_loss_of_iou_counts_where_its_whole_interval_and_enough_images_say_so():
    sure, unsure, unknown = change(0, 1.0, 0.4), change(0, 1.0, 0.2), change(0, 1.0, None)
    assert label_reasons([sure, sure], LIMITS, 8) == ["mean IoU changed by -1.00 points (limit -0.3)"]
    assert label_reasons([sure, sure], LIMITS, 7) == []
    assert label_reasons([sure, unsure], LIMITS, 8) == []
    assert label_reasons([unknown, unknown], LIMITS, 8) == []


def test_rounding_explains_labels_only_where_two_logits_were_as_good_as_equal():
    assert only_rounding(None, 10.0)  # no label differs
    assert only_rounding(0.002, 10.0)  # 2e-4 of the largest logit
    assert not only_rounding(0.0021, 10.0)
    assert not only_rounding(0.0, None)


def test_the_first_layer_out_of_line_is_the_reason_and_the_others_are_counted():
    layers = [LayerError(name, "Conv", "fp32", 0.1, 0.001, None, name != "a") for name in "abc"]
    assert layer_reasons(layers, "fcn.onnx") == ["b and 1 more out of line when fed the tensors of fcn.onnx"]
    assert layer_reasons(layers[:1], "fcn.onnx") == []
    assert layers[0].sqnr_db == pytest.approx(20)


def test_limits_are_those_of_the_type_and_unknown_ones_are_refused():
    assert [limits_of(claim) for claim in ("fp32", "int8", "unknown")] == ["fp32", "int8", "int8"]
    changed = with_changes([("fp16", "layer", 0.5)])
    assert changed["fp16"].layer == 0.5
    assert changed["fp16"].labels == TOLERANCES["fp16"].labels
    with pytest.raises(UnknownNameError, match="unknown precision 'int4'"):
        with_changes([("int4", "layer", 0.5)])


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_fcn(tmp_path / folder / "fcn.onnx", card=None)
    stages = chain([str(tmp_path / "a" / "fcn.onnx"), str(tmp_path / "b" / "fcn.onnx")])
    assert [stage.name for stage in stages] == [str(tmp_path / folder / "fcn.onnx") for folder in ("a", "b")]


def test_a_file_of_another_tool_has_no_pytorch_stage_and_says_so(tmp_path):
    said: list[str] = []
    fcn = str(write_fcn(tmp_path / "fcn.onnx", card=None))
    progress = SimpleNamespace(say=said.append)
    with pytest.raises(GraphError, match="is one stage alone"):
        chain([fcn], progress=progress)  # type: ignore[arg-type]
    assert "holds no model card" in said[0]
    assert said[0].startswith("no PyTorch stage: ")


def test_an_engine_must_be_there_and_one_without_a_sidecar_claims_nothing(tmp_path):
    fcn, engine = str(write_fcn(tmp_path / "fcn.onnx", card=None)), tmp_path / "fcn.engine"
    with pytest.raises(EngineError, match="does not exist"):
        chain([fcn, str(engine)])
    engine.write_bytes(b"plan")
    assert chain([fcn, str(engine)])[-1].claim == "unknown"
