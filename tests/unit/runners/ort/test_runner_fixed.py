"""Sessions of their own for shapes that come again: for real on the CPU provider, and CUDA's options by a double."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from fcn_deploy.card import CARD_KEY
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners import transfers
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.ort import fixed, fixed_pool
from fcn_deploy.runners.ort.buffers import TorchBuffer
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.registry import open_runner
from tests.support.cuda_sessions import Opened, install
from tests.support.onnx_files import CARD, write_graph
from tests.support.small_fcn import write_fcn

NHWC = {"device_id": "0", "prefer_nhwc": "1"}
PIXELS = np.array([[30, 25, 60], [0, 50, 0], [10, 19, 70]], np.uint8)
BOTH = ("labels", "logits")
QUICK = {"device_id": "0", "prefer_nhwc": "1", "cudnn_conv_algo_search": "HEURISTIC"}
RULE = {"device_id": "0", "prefer_nhwc": "1", "fuse_conv_bias": "1"}
ON_CPU = ProviderOptions(fixed_shapes=2)


def classes_of(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 3, shape).astype(np.uint8)


def image_of(shape: tuple[int, int, int]) -> np.ndarray:
    return PIXELS[classes_of(shape)]


def check(runner, shape: tuple[int, int, int]) -> None:
    labels = runner.infer({"image": image_of(shape)})["labels"]
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, classes_of(shape))


@pytest.fixture(scope="module")
def fcn(tmp_path_factory) -> str:
    return str(write_fcn(tmp_path_factory.mktemp("fcn") / "fcn.onnx"))


@pytest.mark.parametrize("image", ["uint8", "float"])
def test_the_second_run_of_a_shape_opens_a_session_whose_results_are_those_of_the_first(tmp_path, image):
    path = write_graph(tmp_path / "m.onnx", image=image, outputs=BOTH)
    with open_runner("onnxruntime", str(path), outputs=BOTH, provider=ON_CPU) as runner:
        own = runner.notes
        first, *later = [runner.infer({"image": image_of((2, 33, 47))}) for _ in range(4)]
        for found in later:
            assert np.array_equal(found["labels"], first["labels"])
            assert np.array_equal(found["logits"], first["logits"])
            assert (found["labels"].dtype, found["logits"].dtype) == (np.uint8, np.float32)
        assert np.array_equal(first["labels"], classes_of((2, 33, 47)))
        (note,) = (note for note in runner.notes if note not in own)
    assert note.startswith("2x33x47: a session with its sizes fixed, the provider's own options, opened in")


def test_a_network_with_crops_gives_the_same_labels_in_either_session(fcn):
    shapes = [(1, 66, 90), (1, 66, 90), (2, 34, 46), (1, 66, 90), (2, 34, 46), (1, 64, 90), (2, 34, 46)]
    images = [np.random.default_rng(i).integers(0, 256, (*shape, 3)).astype(np.uint8) for i, shape in enumerate(shapes)]
    with open_runner("onnxruntime", fcn) as plain, open_runner("onnxruntime", fcn, provider=ON_CPU) as runner:
        for image in images:
            expected = plain.infer({"image": image})["labels"]
            assert len(np.unique(expected)) > 1
            assert np.array_equal(runner.infer({"image": image})["labels"], expected)
        assert len(runner._pool) == 2
        assert plain._pool is None


def test_shapes_beyond_the_bound_replace_the_one_used_longest_ago_and_all_labels_are_right(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    chance = np.random.default_rng(0)
    with open_runner("onnxruntime", str(path), provider=ON_CPU) as runner:
        for _ in range(60):
            check(runner, (1, int(chance.integers(5, 12)), 9))
        assert len(runner._pool) == 2
        assert any("more than 2 shapes come again" in note for note in runner.notes)


def test_results_belong_to_the_caller_in_a_fixed_session_too(tmp_path):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx")), provider=ON_CPU) as runner:
        for _ in range(2):
            check(runner, (1, 8, 9))
        kept = runner.infer({"image": image_of((1, 8, 9))})["labels"]
        runner.infer({"image": PIXELS[(classes_of((1, 8, 9)) + 1) % 3]})
        runner.execute()
        assert np.array_equal(kept, classes_of((1, 8, 9)))


def test_a_read_only_image_and_memory_that_is_reused_after_the_upload_are_taken(tmp_path, recwarn):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx")), provider=ON_CPU) as runner:
        check(runner, (1, 8, 9))
        image = image_of((1, 8, 9))
        runner.upload({"image": image})
        image[:] = 0
        runner.execute()
        assert np.array_equal(runner.download()["labels"], classes_of((1, 8, 9)))
        image = image_of((1, 8, 9))
        image.flags.writeable = False
        assert np.array_equal(runner.infer({"image": image})["labels"], classes_of((1, 8, 9)))
    assert not recwarn.list


def test_a_clone_has_sessions_of_its_own(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    with open_runner("onnxruntime", str(path), provider=ON_CPU) as runner, runner.clone() as clone:
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert (len(runner._pool), len(clone._pool)) == (1, 0)
        check(clone, (1, 8, 9))
        check(clone, (1, 8, 9))
        assert clone._pool.get((1, 8, 9)) is not runner._pool.get((1, 8, 9))


@pytest.mark.parametrize("change", ["other weights", "gone"])
def test_a_file_that_has_changed_meanwhile_is_never_mixed_with_the_one_that_was_opened(tmp_path, change):
    path = write_graph(tmp_path / "m.onnx")
    with open_runner("onnxruntime", str(path), provider=ON_CPU) as runner:
        check(runner, (1, 8, 9))
        path.unlink()
        if change == "other weights":
            write_graph(path, outputs=BOTH)
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert runner.notes == (
            "1x8x9 has no session of its own: m.onnx has changed since it was opened; open it again",
        )


def without_names(path: Path) -> Path:
    model = onnx.load(path)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.ClearField("dim_param")
    onnx.save(model, path)
    return path


def test_a_file_whose_dims_have_no_names_runs_in_the_one_session_and_says_so(tmp_path):
    path = without_names(write_graph(tmp_path / "m.onnx"))
    with open_runner("onnxruntime", str(path), provider=ON_CPU) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
        (note,) = runner.notes
    assert note.startswith("1x8x9 has no session of its own: the input's dims")


def test_the_cpu_has_none_unless_they_are_asked_for(tmp_path):
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx"))) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert runner.notes == ()
        assert runner._pool is None


# CUDA, by a double


@pytest.fixture
def cuda(monkeypatch):
    return install(monkeypatch)


def open_tuned(path: Path, provider: ProviderOptions | None = None) -> Runner:
    runner = open_runner("onnxruntime:cuda", str(path), provider=provider)
    runner.tune_at_once = True
    return runner


def slow_but_for_the_rule(opened: Opened) -> float:
    return 0.0 if opened.options.keys() - {"enable_cuda_graph"} == RULE.keys() else 0.01


def half_file(path: Path) -> Path:
    """`write_graph`, with a detour over FP16 before the arg max; PIXELS' logits are exact there."""
    model = onnx.load(write_graph(path))
    cast = [
        helper.make_node("Cast", ["logits"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["again"], to=TensorProto.FLOAT),
    ]
    nodes = list(model.graph.node)
    place = next(index for index, node in enumerate(nodes) if node.op_type == "ArgMax")
    nodes[place].input[0] = "again"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:place], *cast, *nodes[place:]])
    helper.set_model_props(model, {CARD_KEY: CARD.to_json()})
    onnx.save(model, path)
    return path


def test_an_fp16_file_gets_the_rule_of_its_type_and_a_graph_at_its_second_run(tmp_path, cuda):
    cuda.seconds = slow_but_for_the_rule
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(4):
            check(runner, (1, 8, 9))
        check(runner, (2, 8, 9))
        notes = " | ".join(runner.notes)
    assert [one.options for one in cuda.opened[:2]] == [
        QUICK,
        QUICK | {"fuse_conv_bias": "1", "enable_cuda_graph": "1"},
    ]
    assert cuda.opened[0].sizes == {}
    assert all(one.sizes == {"N": 1, "H": 8, "W": 9} and one.graph for one in cuda.fixed)
    assert "provider options: prefer_nhwc=1, cudnn_conv_algo_search=HEURISTIC" in notes
    assert "1x8x9: a session with its sizes fixed, prefer_nhwc=1, fuse_conv_bias=1, enable_cuda_graph=1" in notes
    assert "the first run of a shape chooses kernels: " in notes
    assert cuda.opened[0].runs == 2


@pytest.mark.parametrize("fused_is_faster", [True, False])
def test_a_shape_that_comes_again_is_measured_in_each_layout_and_keeps_the_fastest(tmp_path, cuda, fused_is_faster):
    def seconds(opened: Opened) -> float:
        wrong = ("fuse_conv_bias" in opened.options) != fused_is_faster or "prefer_nhwc" not in opened.options
        wrong = wrong or "cudnn_conv_algo_search" in opened.options
        return 0.02 if wrong else 0.0

    cuda.seconds = seconds
    with open_tuned(write_graph(tmp_path / "m.onnx")) as runner:
        for _ in range(4):
            check(runner, (1, 8, 9))
        notes = " | ".join(runner.notes)
    general, quick_fused, quick, fused, plain = cuda.opened
    assert general.options == QUICK
    assert all(one.graph for one in (quick_fused, quick, fused, plain))
    assert quick.options == QUICK | {"enable_cuda_graph": "1"}
    assert (plain.runs < fused.runs) == fused_is_faster
    named = "fuse_conv_bias=1, " if fused_is_faster else ""
    assert f"fixed, prefer_nhwc=1, {named}enable_cuda_graph=1, opened in" in notes
    runs_in, others_in = re.search(r"it runs, without copies, in (\S+) ms, and in (\S+) ms with prefer", notes).groups()
    assert float(runs_in) < 20 <= float(others_in)


def test_without_word_of_many_runs_a_session_is_opened_once_its_shape_has_run_as_long_as_that_takes(tmp_path, cuda):
    cuda.seconds = lambda opened: 0.0 if opened.sizes else 0.05
    with open_runner("onnxruntime:cuda", str(write_graph(tmp_path / "m.onnx"))) as runner:
        runner._run_times.opening_s = 0.3
        for _ in range(int(0.3 / 0.05)):
            check(runner, (1, 8, 9))
        assert not cuda.fixed
        for _ in range(10):
            check(runner, (1, 8, 9))
    assert len(cuda.opened) == 5


def test_options_given_by_hand_are_in_every_session(tmp_path, cuda):
    asked = ProviderOptions(device_id=1, options={"fuse_conv_bias": "0", "cudnn_conv_algo_search": "HEURISTIC"})
    with open_tuned(write_graph(tmp_path / "m.onnx"), asked) as runner:
        check(runner, (1, 8, 9))
        check(runner, (1, 8, 9))
    expected = {"device_id": "1", "prefer_nhwc": "1", "fuse_conv_bias": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert [one.options for one in cuda.opened[:2]] == [expected, expected | {"enable_cuda_graph": "1"}]
    for one in cuda.opened:
        assert one.options.items() >= {("fuse_conv_bias", "0"), ("cudnn_conv_algo_search", "HEURISTIC")}


def test_no_graphs_where_none_are_asked_for(tmp_path, cuda):
    asked = ProviderOptions(fixed_shapes=0)
    with open_tuned(write_graph(tmp_path / "m.onnx"), asked) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
    assert len(cuda.opened) == 1


def test_options_that_this_onnxruntime_does_not_know_are_left_out_with_a_note(tmp_path, cuda):
    def refuse(opened: Opened) -> None:
        if "prefer_nhwc" in opened.options:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Unknown provider option: prefer_nhwc")

    cuda.on_open = refuse
    with open_tuned(write_graph(tmp_path / "m.onnx")) as runner:
        check(runner, (1, 8, 9))
        assert "without prefer_nhwc=1, cudnn_conv_algo_search=HEURISTIC: " in runner.notes[0]
        assert "Unknown provider option" in runner.notes[0]
        check(runner, (1, 8, 9))
    assert cuda.opened[-1].options == {"device_id": "0", "enable_cuda_graph": "1"}


def test_a_graph_that_cannot_be_captured_leaves_a_session_of_fixed_sizes(tmp_path, cuda):
    def refuse(opened: Opened) -> None:
        if opened.graph:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature")

    cuda.on_open = refuse
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
        notes = " | ".join(runner.notes)
    assert [one.graph for one in cuda.opened] == [False, *[True] * 4, False]
    assert cuda.opened[-1].runs > 2
    assert "failed: onnxruntime cannot use it: This session cannot use the graph capture feature" in notes


def test_no_memory_for_a_session_of_its_own_leaves_the_general_one_and_is_tried_once(tmp_path, cuda):
    def refuse(opened: Opened) -> None:
        if opened.sizes:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : CUDA error 2: out of memory")

    cuda.on_open = refuse
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(5):
            check(runner, (1, 8, 9))
        notes = " | ".join(runner.notes)
    assert len(cuda.fixed) == 5  # four choices with a graph, and one without
    assert "1x8x9 has no session of its own: onnxruntime cannot use it: CUDA error 2: out of memory" in notes


def test_a_session_of_its_own_that_fails_later_hands_its_image_to_the_general_one(tmp_path, cuda):
    cuda.seconds = slow_but_for_the_rule

    def fail(opened: Opened) -> None:
        if opened.sizes and opened.runs > 12:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access")

    cuda.on_run = fail
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(6):
            check(runner, (1, 8, 9))
        notes = " | ".join(runner.notes)
    assert "1x8x9 has lost its session of its own: CUDA failure 700" in notes
    assert len(cuda.fixed) == 4


def test_a_choice_that_fails_while_it_is_timed_is_left_out_and_named(tmp_path, cuda):
    def fail(opened: Opened) -> None:
        if "cudnn_conv_algo_search" in opened.options:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED")

    cuda.on_run = fail
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(4):
            check(runner, (1, 8, 9))
        (note,) = (note for note in runner.notes if note.startswith("1x8x9"))
    assert note.endswith("; failed: CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED")


def test_no_further_layouts_are_tried_once_opening_has_taken_long(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(fixed_pool, "TUNING_S", 0.0)
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
        (note,) = (note for note in runner.notes if note.startswith("1x8x9"))
    assert len(cuda.fixed) == 1
    assert "other choices not tried, for lack of time" in note


def test_only_where_opening_is_not_timed_it_may_take_longer(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(fixed_pool, "TRYING_S", 0.0)
    path = half_file(tmp_path / "m.onnx")
    for tuned in (False, True):
        before = len(cuda.fixed)
        with open_runner("onnxruntime:cuda", str(path), provider=ProviderOptions(fixed_shapes=2)) as runner:
            runner.tune_at_once = tuned
            for _ in range(3):
                check(runner, (1, 8, 9))
        assert (len(cuda.fixed) - before > 1) == tuned


def test_no_memory_for_the_buffers_leaves_the_general_session(tmp_path, cuda, monkeypatch):
    def refuse(*given):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 6.00 MiB")

    monkeypatch.setattr(fixed, "make_buffer", refuse)
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert "1x8x9 has no session of its own: CUDA out of memory. Tried to allocate 6.00 MiB" in runner.notes


def test_out_of_memory_in_the_middle_gives_up_the_sessions_of_single_shapes_and_goes_on(tmp_path, cuda):
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(2):
            check(runner, (1, 8, 9))
        failures = iter([True])

        def fail(opened: Opened) -> None:
            if not opened.sizes and next(failures, False):
                raise RuntimeError("[ONNXRuntimeError] : 6 : FAIL : Failed to allocate memory for requested buffer")

        cuda.on_run = fail
        check(runner, (2, 64, 64))
        notes = " | ".join(runner.notes)
        assert "gave up each shape's session of its own: onnxruntime:cuda failed while running: Failed to all" in notes
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert len(runner._pool) == 0


def test_out_of_memory_with_nothing_to_give_up_is_an_error(tmp_path, cuda):
    def fail(opened: Opened) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 6 : FAIL : Failed to allocate memory for requested buffer")

    cuda.on_run = fail
    with open_tuned(write_graph(tmp_path / "m.onnx")) as runner:
        with pytest.raises(RunnerError, match="failed while running: Failed to allocate memory"):
            runner.infer({"image": image_of((1, 8, 9))})
        with pytest.raises(RunnerError, match="failed while running"):
            runner.infer({"image": image_of((1, 8, 9))})
        assert not cuda.fixed
        cuda.on_run = lambda opened: None
        check(runner, (1, 8, 9))
        assert not cuda.fixed  # nothing is known of its outputs before a run of it
        check(runner, (1, 8, 9))
        assert cuda.fixed


def test_images_that_all_have_a_size_of_their_own_hold_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(fixed_pool, "MOST_COUNTED", 5)
    with open_runner("onnxruntime", str(write_graph(tmp_path / "m.onnx")), provider=ON_CPU) as runner:
        for width in range(4, 30):
            check(runner, (1, 8, width))
        assert len(runner._pool._outputs) <= 5
        for _ in range(3):
            check(runner, (1, 8, 4))
        assert len(runner._pool) == 1


@pytest.mark.parametrize(
    ("unfit", "opened", "told"),
    [
        ("cudnn_conv_algo_search", [NHWC], "with prefer_nhwc=1 in place of prefer_nhwc=1, cudnn_conv_algo_search=HEUR"),
        ("prefer_nhwc", [NHWC, {"device_id": "0"}], "with the provider's own options in place of prefer_nhwc=1, which"),
    ],
)
def test_options_that_fail_are_left_for_the_next_and_the_image_is_run_again(tmp_path, cuda, unfit, opened, told):
    def fail(opened: Opened) -> None:
        if unfit in opened.options:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDNN_FE failure 9: CUDNN_STATUS_NOT_SUPPORTED")

    cuda.on_run = fail
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        check(runner, (1, 8, 9))
        assert [one.options for one in cuda.opened[1:]] == opened
        assert told in " ".join(runner.notes)
        assert "failed: CUDNN_FE failure 9: " in " ".join(runner.notes)
        with runner.clone() as clone:
            check(clone, (2, 8, 9))
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert len(runner._pool) == 1


def test_an_error_that_every_choice_of_options_meets_is_raised(tmp_path, cuda):
    def fail(opened: Opened) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDNN_FE failure 9: CUDNN_STATUS_NOT_SUPPORTED")

    cuda.on_run = fail
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(2):
            with pytest.raises(RunnerError, match="failed while running: CUDNN_FE failure 9"):
                runner.infer({"image": image_of((2, 8, 9))})
    assert len(cuda.opened) == 3


# Queued with one wait, by buffers of PyTorch's on the host


@pytest.fixture
def queued(cuda, monkeypatch):
    """Have every session of its own run with one wait, whatever is faster."""
    monkeypatch.setattr(fixed, "make_buffer", lambda shape, dtype, device, ordinal: TorchBuffer(shape, dtype, "cpu", 0))
    monkeypatch.setattr(fixed, "stream_for", lambda buffers: HostStream())
    monkeypatch.setattr(transfers.torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(transfers, "times_of", lambda ways: {name: 1.0 + (name != chosen) for name in ways})
    chosen = transfers.ONE_THREAD
    return cuda


class HostStream:
    cuda_stream = 4711

    def synchronize(self) -> None:
        pass


def test_upload_run_and_download_are_queued_where_that_is_faster(tmp_path, queued):
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for shape in [(1, 8, 9)] * 4 + [(2, 8, 9)] * 4 + [(1, 8, 9)]:
            check(runner, shape)
        assert runner._fixed.whole is not None
        kept = runner.infer({"image": image_of((1, 8, 9))})["labels"]
        runner.infer({"image": PIXELS[(classes_of((1, 8, 9)) + 1) % 3]})
        assert np.array_equal(kept, classes_of((1, 8, 9)))
        runner.upload({"image": image_of((1, 8, 9))})
        runner.execute()
        assert np.array_equal(runner.download()["labels"], classes_of((1, 8, 9)))
        notes = " | ".join(runner.notes)
    assert all(one.options["user_compute_stream"] == "4711" for one in queued.fixed)
    assert "; 1e+03 ms from host to host with one wait, images copied pinned, one thread (2e+03 with a wait" in notes


def test_a_run_with_one_wait_that_fails_hands_its_image_to_the_general_session(tmp_path, queued):
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(3):
            check(runner, (1, 8, 9))

        def fail(opened: Opened) -> None:
            if opened.sizes:
                raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access")

        queued.on_run = fail
        for _ in range(3):
            check(runner, (1, 8, 9))
        assert "1x8x9 has lost its session of its own: CUDA failure 700: an illegal memory access" in runner.notes


def test_other_outputs_with_one_wait_leave_the_steps(tmp_path, queued, monkeypatch):
    monkeypatch.setattr(transfers, "_same", lambda found, expected: False)
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(4):
            check(runner, (1, 8, 9))
        assert runner._fixed.whole is None
        assert "; one wait for all steps failed: queued with one wait (pinned, one thread)" in " ".join(runner.notes)


def test_a_provider_that_takes_no_stream_runs_step_by_step(tmp_path, queued):
    def refuse(opened: Opened) -> None:
        if "user_compute_stream" in opened.options:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Unknown provider option: user_compute_stream")

    queued.on_open = refuse
    with open_tuned(half_file(tmp_path / "m.onnx")) as runner:
        for _ in range(4):
            check(runner, (1, 8, 9))
        assert runner._fixed is not None
        assert runner._fixed.whole is None
    assert queued.fixed[-1].graph
