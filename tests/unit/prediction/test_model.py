from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import onnx_ir as ir
import pytest
import torch
from PIL import Image

import fcn_deploy
from fcn_deploy.errors import GraphError, ImageError, RunnerError, ShapeError, UnknownNameError
from fcn_deploy.prediction.model import Model
from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import OUTPUTS, RUNNER_OUTPUTS
from tests.conftest import tiny_model
from tests.support.contract_graphs import small_graph
from tests.support.fake_runners import FakeRunner
from tests.support.fakes.machine import Machine
from tests.support.gpu_arrays import DlpackArray, InterfaceArray
from tests.support.tensorrt_nets import *  # noqa: F403
from tests.support.tensorrt_nets import PROFILES, noise

SHAPES = ((1, 1), (33, 47), (47, 33), (33, 47), (64, 31), (33, 47), (1, 47), (33, 47))
IMAGES = [noise((1, *shape), seed)[0] for seed, shape in enumerate(SHAPES)]


@pytest.fixture(params=["onnx", "engine"])
def model(request, net, monkeypatch):
    """The same network by ONNX Runtime, and as an engine on a GPU whose results are late."""
    if request.param == "onnx":
        with fcn_deploy.load(net, threads=1, batch=2) as opened:
            yield opened
        return
    machine = Machine(monkeypatch, 1)
    with fcn_deploy.load(machine.build(net, PROFILES), batch=2) as opened:
        yield opened
    machine.check()


@pytest.fixture
def expected(reference):
    return lambda image: reference(image[None])["labels"][0]


def test_an_image_gives_labels_of_its_size(model, expected):
    for image in IMAGES:
        labels = model(image)
        assert (labels.dtype, labels.shape) == (np.uint8, image.shape[:2])
        assert np.array_equal(labels, expected(image))


def test_a_list_of_different_sizes_gives_a_list_in_its_order(model, expected):
    found = model(IMAGES)
    assert isinstance(found, list)
    assert [labels.tolist() for labels in found] == [expected(image).tolist() for image in IMAGES]
    assert model([]) == []


def test_a_generator_is_read_a_bounded_number_of_images_ahead_of_its_results(model, expected):
    taken = []

    def source():
        for number in range(80):
            taken.append(number)
            yield IMAGES[number % len(IMAGES)]

    for number, labels in enumerate(model(source())):
        assert np.array_equal(labels, expected(IMAGES[number % len(IMAGES)]))
        assert len(taken) - number <= 20
    assert len(taken) == 80


def test_a_generator_that_is_left_in_the_middle_leaves_the_model_usable(model, expected):
    before = threading.active_count()
    results = model(iter(IMAGES))
    next(results)
    results.close()
    assert threading.active_count() == before
    assert np.array_equal(model(IMAGES[1]), expected(IMAGES[1]))


def test_an_array_of_images_a_path_and_a_pillow_image_are_taken(model, expected, tmp_path):
    both = np.stack([IMAGES[1], IMAGES[3]])
    assert model(both).tolist() == [expected(image).tolist() for image in both]
    picture = Image.fromarray(IMAGES[1])
    picture.save(tmp_path / "a b.png")
    for given in (picture, tmp_path / "a b.png", str(tmp_path / "a b.png")):
        assert np.array_equal(model(given), expected(IMAGES[1]))
    (labels,) = model([tmp_path / "a b.png"])
    assert np.array_equal(labels, expected(IMAGES[1]))


def test_what_is_no_image_is_refused_and_the_model_goes_on(model, expected, tmp_path):
    for given in (np.zeros((3, 4), np.uint8), np.zeros((3, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ShapeError, match=r"expected uint8\[H, W, 3\], RGB"):
            model(given)
        with pytest.raises(ShapeError, match="expected uint8"):
            model([IMAGES[0], given])
    with pytest.raises(ImageError, match="does not exist"):
        model(tmp_path / "none.png")
    assert np.array_equal(model(IMAGES[1]), expected(IMAGES[1]))


def test_more_images_than_a_profile_holds_go_in_as_it_holds_them(net, reference, monkeypatch):
    machine = Machine(monkeypatch, 2)
    images = [noise((1, 33, 47), seed)[0] for seed in range(9)]
    with fcn_deploy.load(machine.build(net, PROFILES), batch=9) as model:
        for labels, image in zip(model(images), images, strict=True):
            assert np.array_equal(labels, reference(image[None])["labels"][0])
    machine.check()


def test_a_size_outside_the_profiles_is_reported(net, monkeypatch):
    machine = Machine(monkeypatch)
    with fcn_deploy.load(machine.build(net, PROFILES)) as model:
        for given in (noise((1, 300, 20))[0], [IMAGES[1], noise((1, 300, 20))[0]]):
            with pytest.raises(ShapeError, match="300"):
                model(given)
    machine.check()


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("library", [DlpackArray, InterfaceArray])
def test_images_on_the_gpu_and_labels_that_stay_there(net, reference, monkeypatch, library, seed):
    machine = Machine(monkeypatch, seed)
    images = [noise((1, 33 + number % 2, 47), number)[0] for number in range(7)]
    expected = [reference(image[None])["labels"][0] for image in images]
    lent = [library(machine.gpu, image) for image in images]
    pair = library(machine.gpu, noise((2, 33, 47)))
    with fcn_deploy.load(machine.build(net, PROFILES)) as model:
        assert np.array_equal(model(lent[0]), expected[0])
        assert np.array_equal(model(pair), reference(noise((2, 33, 47)))["labels"])
        assert all(map(np.array_equal, model(lent[:7]), expected))
        assert all(map(np.array_equal, model(iter(lent[:7])), expected))
        with pytest.raises(ShapeError, match=r"uint8\[1, 2, 33, 47, 3\]"):
            model([pair])
        with pytest.raises(ShapeError, match="an image on a GPU comes after one on the host; give them apart"):
            model([images[0], lent[0]])
    with fcn_deploy.load(machine.build(net, PROFILES), on_gpu=True) as model:
        found = [model(lent[0]), *model([*lent[:4], *images[4:]]), model(images[0]), *model(pair)]
    whole = reference(noise((2, 33, 47)))["labels"]
    for labels, array in zip(found, [expected[0], *expected, expected[0], *whole], strict=True):
        assert np.array_equal(machine.gpu.view(labels.address, labels.nbytes).reshape(labels.shape), array)
    del labels
    found.clear()
    for image in (*lent, pair):
        image.release()
    machine.check()


def test_named_outputs_come_in_a_dict_from_a_file_and_from_an_engine(monkeypatch, tmp_path):
    ir.save(small_graph(outputs=OUTPUTS, gain=0.01), tmp_path / "small.onnx")
    machine = Machine(monkeypatch, 1)
    engine = machine.build(tmp_path / "small.onnx", PROFILES)
    with fcn_deploy.load(tmp_path / "small.onnx", outputs=RUNNER_OUTPUTS) as model:
        expected = model(IMAGES)
    for image, found in zip(IMAGES, expected, strict=True):
        assert list(found) == ["labels", "confidence", "logits", "probabilities"]
        assert [value.shape for value in found.values()] == [image.shape[:2]] * 2 + [(3, *image.shape[:2])] * 2
        np.testing.assert_allclose(found["probabilities"].sum(0), 1, rtol=1e-5)
        assert np.array_equal(found["probabilities"].argmax(0), found["labels"])
    with fcn_deploy.load(engine, batch=2, outputs=["confidence", "labels"]) as model:
        pair = model(np.stack([IMAGES[1]] * 2))
        results = [model(IMAGES[1]), *model(IMAGES), *model(iter(IMAGES)), {name: pair[name][1] for name in pair}]
    for found, whole in zip(results, [expected[1], *expected, *expected, expected[1]], strict=True):
        assert list(found) == ["labels", "confidence"]
        assert np.array_equal(found["labels"], whole["labels"])
        assert np.abs(found["confidence"].astype(int) - whole["confidence"]).max() <= 1
    machine.check()


def test_a_checkpoint_is_exported_with_what_is_asked_for(small_checkpoint, monkeypatch):
    asked = []

    def write(network, card, target, *, outputs, input_kind, progress):
        asked.append(outputs)
        ir.save(small_graph(outputs=OUTPUTS), target)

    monkeypatch.setattr("fcn_deploy.onnx_export.export.export_model", write)
    for outputs in (None, ["confidence"], ["probabilities", "labels"]):
        fcn_deploy.load(small_checkpoint, runner="onnxruntime", outputs=outputs).close()
    assert asked == [("labels",), ("labels", "confidence"), ("labels", "logits")]
    with fcn_deploy.load(small_checkpoint, outputs=["confidence"]) as model:
        assert [(name, value.dtype) for name, value in model(IMAGES[1]).items()] == [("confidence", np.uint8)]
    with pytest.raises(UnknownNameError, match="unknown output 'scores'"):
        fcn_deploy.load(small_checkpoint, outputs=["scores"])


def test_labels_cannot_stay_on_a_gpu_that_is_not_there(net):
    for spec in ("onnxruntime", "pytorch"):
        with pytest.raises(RunnerError, match=f"^{spec} takes images on the host and gives labels there; copy"):
            fcn_deploy.load(net if spec == "onnxruntime" else "demo", runner=spec, on_gpu=True)


def test_arrays_of_a_gpu_that_cannot_be_taken_are_one_line_and_the_model_goes_on(net, reference, monkeypatch):
    class Refusing(DlpackArray):
        def __dlpack__(self, *, stream=None):
            raise BufferError("it needs\na gradient")

    machine = Machine(monkeypatch, 1)
    right, whole = noise((1, 33, 47))[0], noise((1, 33, 48))[0]
    bad = {
        DlpackArray(machine.gpu, right, 1): (RunnerError, "lies on GPU 1 and the model on GPU 0; copy it there first"),
        DlpackArray(machine.gpu, right.astype(np.int16)): (
            ShapeError,
            r"int16\[1, 33, 47, 3\] on GPU 0; expected uint8",
        ),
        DlpackArray(machine.gpu, right[..., 0]): (ShapeError, r"uint8\[1, 33, 47\] on GPU 0; expected uint8\[N, H"),
        InterfaceArray(machine.gpu, whole[:, ::2]): (ShapeError, "is not row-major; give a contiguous copy of it"),
        InterfaceArray(machine.gpu, right, stream=77): (RunnerError, "the stream 77, which is not one of GPU 0"),
        InterfaceArray(machine.gpu, right, shape=None): (ShapeError, "'image' is no array that can be read: tests: "),
        Refusing(machine.gpu, right): ((ShapeError, RunnerError), "tests.*: it needs a gradient$"),
    }
    with fcn_deploy.load(machine.build(net, PROFILES)) as model:
        for image, (kind, words) in bad.items():
            for given in (image, [image], iter([image])):
                with pytest.raises(kind, match=words) as caught:
                    list(model(given))
                assert "\n" not in str(caught.value)
            image.release()
        assert np.array_equal(model(right), reference(right[None])["labels"][0])
    machine.check()


def test_each_call_may_say_whether_its_labels_stay_on_the_gpu(net, reference, monkeypatch):
    machine = Machine(monkeypatch, 1)
    image, expected = noise((1, 33, 47))[0], reference(noise((1, 33, 47)))["labels"][0]
    for stays in (False, True):
        with fcn_deploy.load(machine.build(net, PROFILES), on_gpu=stays) as model:
            found = [model(image, on_gpu=True), *model([image] * 2, on_gpu=True), *model(iter([image]), on_gpu=True)]
            assert isinstance(model(image), GpuArray) == stays
            assert all(np.array_equal(labels, expected) for labels in model([image], on_gpu=False))
            assert np.array_equal(model(image[None], on_gpu=False)[0], expected)
        for labels in found:
            assert np.array_equal(machine.gpu.view(labels.address, labels.nbytes).reshape(labels.shape), expected)
        with pytest.raises(RunnerError, match="closed"):
            model(image, on_gpu=True)
    del labels
    found.clear()
    machine.check()


def test_a_call_cannot_leave_labels_on_a_gpu_that_is_not_there(net, reference):
    image = noise((1, 33, 47))
    with fcn_deploy.load(net) as model:
        for given in (image, image[0], [image[0]], iter([image[0]])):
            with pytest.raises(RunnerError, match=r"^onnxruntime takes images on the host and gives labels there"):
                model(given, on_gpu=True)
        assert np.array_equal(model(image, on_gpu=False), reference(image)["labels"])


def test_a_call_between_the_results_of_a_generator_waits_for_the_image_that_is_run_ahead():
    inside = []

    class Alone(FakeRunner):
        def _upload(self, image):
            inside.append(image)
            time.sleep(0.001)
            super()._upload(image)

        def _download(self):
            (image,) = inside
            inside.clear()
            return {"labels": image[..., 0].copy()}

    images = [np.full((3, 5, 3), value, np.uint8) for value in range(20)]
    with ExitStack() as stack:
        model = Model(Alone(), stack)
        for number, labels in enumerate(model(iter(images))):
            assert (labels == number).all()
            assert (model(images[-1 - number]) == 19 - number).all()


def test_tensors_of_the_host_are_images(net, reference):
    image = noise((1, 33, 47))
    with fcn_deploy.load(net) as model:
        assert np.array_equal(model(torch.from_numpy(image)), reference(image)["labels"])
        (labels,) = model([torch.from_numpy(image[0])])
        assert np.array_equal(labels, reference(image)["labels"][0])


def test_a_checkpoint_is_run_by_pytorch_and_a_closed_model_says_so(tmp_path):
    from fcn_deploy.models.checkpoints import save_model

    save_model(tmp_path / "m.safetensors", *tiny_model())
    with (
        fcn_deploy.load(tmp_path / "m.safetensors") as model,
        open_runner("pytorch", str(tmp_path / "m.safetensors")) as one,
    ):
        assert model.card.classes == ("c0", "c1", "c2", "c3", "c4")
        labels = model(IMAGES[1])
        assert np.array_equal(labels, one.infer({"image": IMAGES[1][None]})["labels"][0])
        assert len(np.unique(labels)) > 1
    with pytest.raises(RunnerError, match="closed"):
        model(IMAGES[1])


def test_what_cannot_be_opened_is_one_error(net, tmp_path):
    with pytest.raises(GraphError, match="does not exist"):
        fcn_deploy.load(tmp_path / "none.onnx")
    with pytest.raises(UnknownNameError, match="did you mean pytorch"):
        fcn_deploy.load(net, runner="pytroch")
    net.with_suffix(".engine").write_bytes(b"plan")
    with pytest.raises(RunnerError, match=r"is an engine, and onnxruntime runs \.onnx files; use tensorrt"):
        fcn_deploy.load(net.with_suffix(".engine"), runner="onnxruntime")


@pytest.mark.parametrize("spec", ["onnxruntime", "pytorch"])
def test_twins_share_weights_and_outlive_each_other(spec, net):
    first = open_runner(spec, str(net) if spec == "onnxruntime" else "demo")
    image = noise((1, 33, 47))
    expected = first.infer({"image": image})["labels"]
    clone = first.clone()
    with pytest.raises(RunnerError, match="in this order"):
        clone.download()
    first.upload({"image": noise((2, 31, 40))})
    assert np.array_equal(clone.infer({"image": image})["labels"], expected)
    first.close()
    assert np.array_equal(clone.infer({"image": image})["labels"], expected)
    clone.close()
    with pytest.raises(RunnerError, match="closed"):
        first.clone()


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, fcn_deploy; print([n for n in ('torch', 'numpy', 'onnx', 'PIL') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
