"""What a class map does to the score of a model."""

from __future__ import annotations

import math

import numpy as np

from fcn_deploy.benchmark.bench import bench
from fcn_deploy.data.options import DataOptions
from fcn_deploy.evaluation.evaluate import evaluate

SCENES = "synthetic:2:0:48x64"


def test_classes_that_the_data_do_not_tell_apart_are_scored_as_one(tmp_path):
    """Cars and persons in one: the model's persons are right where the truth, too, has them among the cars."""
    (tmp_path / "map.toml").write_text('person = "car"\n[model]\nperson = "car"\n')
    plain = evaluate("demo", SCENES)
    mapped = evaluate("demo", DataOptions(SCENES, class_map=tmp_path / "map.toml"))
    assert mapped.classes == plain.classes
    car, person = (plain.classes.index(name) for name in ("car", "person"))
    assert math.isnan(mapped.overall.per_class_iou[person])
    others = [label for label in range(len(plain.classes)) if label not in (car, person)]
    assert np.allclose(
        [mapped.overall.per_class_iou[label] for label in others],
        [plain.overall.per_class_iou[label] for label in others], equal_nan=True,
    )  # fmt: skip
    assert mapped.overall.pixel_accuracy >= plain.overall.pixel_accuracy
    record = bench(
        "demo", DataOptions(SCENES, class_map=tmp_path / "map.toml"), runners="pytorch", seconds=0.1, memory=False
    )
    counts = np.array(record.rows[0].own.accuracy.overall)
    assert counts[person].sum() == counts[:, person].sum() == 0
