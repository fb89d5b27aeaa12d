"""Planted drifts in generated scenes are found and named; other scenes of the kind fit."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import astuple, replace

import onnx
import pytest
from onnx.numpy_helper import from_array, to_array

import fcn_deploy
from fcn_deploy.drift.text import answer, render
from fcn_deploy.errors import DataError, GraphError, RecordError
from fcn_deploy.quantization.calibration.cache import read_cache, write_cache
from tests.support.drifts import DRIFTS, scenes, write_photos
from tests.support.small_fcn import write_fcn

CALIBRATION = "synthetic:40:1:96x128"
FEWER = "synthetic:12:1:96x128"


def calibrated(source, target, cache, images=CALIBRATION):
    return fcn_deploy.quantize(
        source, target, precision="int8", target="cpu", calibration=images, calibration_cache=cache
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, demo_onnx):
    """The demo in FP32 and in 8 bits, and 16 other scenes as they are and with each drift."""
    folder = tmp_path_factory.mktemp("watch")
    shutil.copy(demo_onnx, folder / "demo.onnx")
    calibrated(folder / "demo.onnx", folder / "int8.onnx", folder / "calib.cache")
    images = scenes("synthetic:16:7:96x128")
    write_photos(folder / "same", images)
    for name, drift in DRIFTS.items():
        write_photos(folder / name, [drift(image) for image in images])
    return folder


def watched(folder, photos, **given):
    return fcn_deploy.watch(folder / "int8.onnx", [str(folder / photos)], calibration=CALIBRATION, **given)


@pytest.mark.parametrize("reference", [False, True])
def test_other_scenes_of_the_kind_fit(folder, reference):
    found = watched(folder, "same", reference=folder / "demo.onnx" if reference else None)
    assert found.fits, answer(found)
    assert answer(found) == "the photos fit the calibration"
    assert (found.images, found.calibration_images) == (16, 40)
    assert [each.region for each in found.labels] == (["all", "boundary", "low margin"] if reference else [])
    assert any("--reference" in note for note in found.notes) is not reference


@pytest.mark.parametrize(("drift", "words"), [
    pytest.param("night", "darker", marks=pytest.mark.long),
    pytest.param("fog", "less contrast", marks=pytest.mark.long),
    ("noise", "noisy or sharper"),
    ("bgr", "less vegetation"),
    ("half", "smaller"),
])  # fmt: skip
def test_a_planted_drift_is_found_and_named(folder, drift, words):
    found = watched(folder, drift)
    assert found.fits is False
    assert words in answer(found)
    assert len(render(found)) > 2


def test_the_labels_that_fp32_gives_otherwise_are_found(folder):
    found = watched(folder, "fog", reference=folder / "demo.onnx")
    assert [each.region for each in found.labels if each.out]
    assert "FP32 gives other labels" in answer(found)


def test_the_result_is_plain_data_that_says_what_is_out(folder):
    found = json.loads(json.dumps(watched(folder, "night").to_plain(), allow_nan=False))
    assert (found["kind"], found["fits"], found["images"]) == ("drift", False, 16)
    assert next(each for each in found["appearance"] if each["name"] == "brightness")["out"] is True


def test_paths_on_standard_input_are_read_and_at_most_so_many_run(folder):
    paths = "\n".join(str(path) for path in sorted((folder / "same").iterdir()))
    found = fcn_deploy.watch(
        folder / "int8.onnx", "-", calibration=CALIBRATION, max_images=8, stdin=io.BytesIO(paths.encode())
    )
    assert (found.images, found.available) == (8, 16)


def test_nothing_to_compare_with_is_an_error(folder):
    with pytest.raises(DataError, match=r"give the images that int8\.onnx was calibrated with \(--calib\)"):
        fcn_deploy.watch(folder / "int8.onnx", str(folder / "same"))
    with pytest.raises(DataError, match="exclude each other"):
        watched(folder, "same", calibration_cache=folder / "calib.cache")


def cached(folder, photos, cache="calib.cache", **given):
    return fcn_deploy.watch(folder / "int8.onnx", str(folder / photos), calibration_cache=folder / cache, **given)


def test_a_cache_says_of_single_images_what_the_images_say(folder):
    found = cached(folder, "same", reference=folder / "demo.onnx")
    again = watched(folder, "same", reference=folder / "demo.onnx")
    assert (found.fits, found.notes) == (True, ())
    assert found.classes == again.classes
    assert [each.limit for each in found.labels] == [0.02, None, None]
    for one, other in zip(found.appearance, again.appearance, strict=True):
        assert astuple(one)[1:] == pytest.approx(astuple(other)[1:])
    for one, other in zip(found.tensors, again.tensors, strict=True):
        assert one.today == other.today
        assert one.calibration == pytest.approx(other.calibration, rel=0.3, abs=1e-5)
    assert render(found, details=True)


@pytest.mark.parametrize(("drift", "word"), [("night", "darker"), ("bgr", "less vegetation")])
def test_a_planted_drift_is_found_with_a_cache(folder, drift, word):
    found = cached(folder, drift)
    assert found.fits is False
    assert word in answer(found)


@pytest.fixture(scope="module")
def equalized(folder):
    """The demo with one large channel in its first layer, and what quantize made of it: tensors that FP32 has not."""
    model = onnx.load(folder / "demo.onnx")
    stored = {each.name: each for each in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    first, second = ([stored[name] for name in node.input[1:]] for node in layers[:2])
    for tensor in first:
        values = to_array(tensor).copy()
        values[0] *= 256
        tensor.CopyFrom(from_array(values, tensor.name))
    columns = to_array(second[0]).copy()
    columns[:, 0] /= 256
    second[0].CopyFrom(from_array(columns, second[0].name))
    onnx.save(model, folder / "large.onnx")
    report = calibrated(folder / "large.onnx", folder / "large.int8.onnx", folder / "large.cache", FEWER)
    assert report.equalized
    return folder


def large(folder, photos, *, reference="large.onnx", **given):
    return fcn_deploy.watch(
        folder / "large.int8.onnx", str(folder / photos), reference=folder / reference, max_images=8, **given
    )


def test_an_equalized_file_is_compared_with_its_fp32_file(equalized):
    found = large(equalized, "same", calibration=FEWER)
    assert found.fits, answer(found)
    assert any(each.name.endswith("/equalized") for each in found.tensors)
    assert any(not each.name.endswith("/equalized") for each in found.tensors)
    by_cache = large(equalized, "night", calibration_cache=equalized / "large.cache")
    assert by_cache.fits is False
    for one, other in zip(found.tensors, by_cache.tensors, strict=True):
        assert one.calibration == pytest.approx(other.calibration, rel=0.3, abs=1e-4)


def test_a_cache_of_an_earlier_version_judges_ranges_and_labels_until_quantize_adds_the_images(equalized, tmp_path):
    content, cache = read_cache(equalized / "large.cache", None), tmp_path / "old.cache"
    assert content.calibration is not None
    assert content.key is not None
    write_cache(cache, replace(content.key, original=""), replace(content.calibration, profile=None))
    found = large(equalized, "night", calibration_cache=cache)
    assert (found.classes, found.appearance) == (None, ())
    assert any(
        "`fcn-deploy quantize` with the same --calib and --calib-cache adds them" in note for note in found.notes
    )
    assert render(found, details=True)
    calibrated(equalized / "large.onnx", tmp_path / "again.onnx", cache, FEWER)
    assert cache.read_bytes() == (equalized / "large.cache").read_bytes()


def test_the_cache_of_another_equalized_file_is_refused(equalized):
    with pytest.raises(RecordError, match=r"large\.cache was measured on another file than .*demo\.onnx"):
        large(equalized, "same", reference="demo.onnx", calibration_cache=equalized / "large.cache")


def test_values_beyond_the_range_of_a_cache_are_out(folder):
    found = cached(folder, "same", max_beyond=0.0)
    beyond = [each for each in found.tensors if each.today > 2 * each.calibration]
    assert [each.name for each in found.tensors if each.out] == [each.name for each in beyond]


def test_a_cache_of_another_network_is_refused(folder, tmp_path):
    other = write_fcn(tmp_path / "small.onnx")
    fcn_deploy.quantize(
        other,
        tmp_path / "small.int8.onnx",
        precision="int8",
        calibration="synthetic:8:0:32x32",
        calibration_cache=folder / "other.cache",
    )
    with pytest.raises(RecordError, match=r"other\.cache was measured on another file than .*demo\.onnx"):
        cached(folder, "same", "other.cache", reference=folder / "demo.onnx")
    with pytest.raises(GraphError, match="measured on another network"):
        cached(folder, "same", "other.cache")


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"", "is empty"), (b"x" * 99, "is not a")])
def test_a_cache_that_cannot_be_used_is_refused(folder, tmp_path, content, words):
    path = tmp_path / "c"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordError, match=words):
        cached(folder, "same", path)


def test_an_engine_shows_no_tensors(folder, tmp_path):
    (tmp_path / "model.engine").write_bytes(b"ftrt" + bytes(60))
    with pytest.raises(GraphError, match=r"model\.engine is an engine, .* give the INT8 \.onnx file"):
        fcn_deploy.watch(tmp_path / "model.engine", str(folder / "same"), calibration=CALIBRATION)


def test_one_image_is_too_few_to_judge(folder):
    found = watched(folder, "same/000.png")
    assert found.fits is None
    assert answer(found) == "the photos were not judged: 1 image is too few to judge; give 8 or more"


def test_an_unreadable_image_is_left_out_and_named(folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = fcn_deploy.watch(
        folder / "int8.onnx", [str(folder / "same"), str(tmp_path)], calibration=CALIBRATION, max_images=17
    )
    assert [failure.name for failure in found.failures] == ["broken.png"]
    assert found.fits
    assert any(str(line).startswith("1 image could not be used: broken.png") for line in render(found))


def test_no_image_that_can_be_read_is_an_error(folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        fcn_deploy.watch(folder / "int8.onnx", str(tmp_path), calibration=CALIBRATION)


def test_an_fp32_file_has_no_calibration(folder):
    with pytest.raises(GraphError, match=r"demo\.onnx has no quantised tensor"):
        fcn_deploy.watch(folder / "demo.onnx", str(folder / "same"), calibration=CALIBRATION)


def test_the_reference_must_be_fp32(folder):
    with pytest.raises(GraphError, match=r"int8\.onnx is quantised itself"):
        watched(folder, "same", reference=folder / "int8.onnx")


def test_the_reference_must_have_the_same_classes(folder, tmp_path):
    with pytest.raises(DataError, match=r"int8\.onnx has 8 classes .* and .*small\.onnx has 3"):
        watched(folder, "same", reference=write_fcn(tmp_path / "small.onnx"))
