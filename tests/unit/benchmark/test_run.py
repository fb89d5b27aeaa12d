from __future__ import annotations

import os
import re
import shlex
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

from fcn_deploy.benchmark import model_files as files_module
from fcn_deploy.benchmark import run as run_module
from fcn_deploy.benchmark.record.file import from_json, read_record, to_json
from fcn_deploy.benchmark.run import BenchOptions, run_bench
from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES
from fcn_deploy.errors import CheckpointError, DataError, GraphError, RunnerError, UnknownNameError
from fcn_deploy.metrics.scores import scores
from fcn_deploy.sources import model_source as source_module
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import SILENT
from fcn_deploy.vocabulary import Profile
from tests.support import ROOT
from tests.support.bench_model import invoke
from tests.support.fake_runners import FakeRunner
from tests.support.fakes.machine import Machine
from tests.support.scripted_runners import Scripted
from tests.support.tensorrt_nets import *  # noqa: F403
from tests.support.tensorrt_nets import PROFILES, noise

CARD = ModelCard("fcn8s", SYNTHETIC_CLASSES)
BUDGET = Budget(iterations=4, seconds=60, warmup=1, settle_ms=0, warmup_seconds=0)


def label_of(image: np.ndarray) -> np.ndarray:
    """Some label of the 8 classes for every red value."""
    return image % 8


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Runs the benchmark on fake runners: {spec: runner or the error that opening it raises}."""
    (tmp_path / "m.onnx").write_bytes(b"a model")

    def start(fakes, **options):
        def open_fake(spec, source, *, outputs=None, threads, load, engine=None, lanes=1):
            found = fakes[spec]
            if isinstance(found, Exception):
                raise found
            return found

        for module in (source_module, files_module):
            monkeypatch.setattr(module, "open_runner", open_fake)
        cards = [found.card for found in fakes.values() if isinstance(found, FakeRunner)]
        monkeypatch.setattr(ModelSource, "card", lambda self: next(iter(cards), CARD))
        settings = {
            "source": str(tmp_path / "m.onnx"),
            "runners": tuple(fakes),
            "data": DataOptions("synthetic:3:0:33x47"),
            "budget": BUDGET,
            "memory": False,
            "saturation_s": 0.0,
        }
        return run_bench(BenchOptions(**settings | options))

    return start


def fake(name: str, **options) -> FakeRunner:
    return FakeRunner(name, **{"change": label_of, "card": CARD, "num_classes": 8} | options)


def test_every_runner_gets_a_row_whatever_becomes_of_it(bench):
    record = bench(
        {
            "pytorch": fake("pytorch"),
            "onnxruntime": fake("onnxruntime"),
            "onnxruntime:cuda": RunnerError("onnxruntime:cuda: CUDAExecutionProvider did not start: no libcuda"),
            "onnxruntime:xnnpack": GraphError("m.onnx: Conv is not supported"),
            "onnxruntime:dml": fake("onnxruntime:dml", fail_at=2),
            "onnxruntime:openvino": fake("onnxruntime:openvino", fail_at=6),
        }
    )
    assert [(row.status, row.reason) for row in record.rows] == [
        ("ok", ""),
        ("ok", ""),
        ("skipped", "CUDAExecutionProvider did not start: no libcuda"),
        ("failed", "m.onnx: Conv is not supported"),
        ("failed", "onnxruntime:dml ran out of memory"),
        ("failed", "onnxruntime:openvino ran out of memory"),
    ]
    assert len(record.rounds) == 4
    assert [row.own.latency is not None for row in record.rows] == [True, True, False, False, False, False]
    assert from_json(to_json(record)) == record


def test_pytorch_is_skipped_where_an_onnx_file_holds_no_network_for_it(bench):
    """An ONNX file of another tool, or a rewritten one: there is nothing that PyTorch could have done."""
    reason = "m.onnx holds no model card; `fcn-deploy adopt` writes one with it"
    record = bench({"pytorch": GraphError(reason), "onnxruntime": fake("onnxruntime")})
    assert [(row.status, row.reason) for row in record.rows] == [("skipped", reason), ("ok", "")]
    assert (record.reference, record.reference_reason) == (None, reason)


def test_a_batch_beyond_memory_is_refused_at_the_first_image(bench):
    runner = fake("pytorch")
    with pytest.raises(DataError, match=r"batches of 100000000 images take 443\d+ MiB, more than the 2048 MiB"):
        bench({"pytorch": runner}, batch=100_000_000)
    assert runner.shapes == []


def test_the_reference_has_no_agreement_but_is_scored(bench):
    record = bench({"pytorch": fake("pytorch"), "onnxruntime": fake("onnxruntime")})
    pytorch, ort = record.rows
    assert record.reference.runner == "pytorch"
    assert record.reference.accuracy == pytorch.own.accuracy
    assert pytorch.own.agreement is None
    assert ort.own.agreement.overall.agreed == ort.own.agreement.overall.pixels == 3 * 33 * 47
    assert ort.own.accuracy.images == 3


def test_pytorch_is_the_reference_even_if_it_is_not_to_be_timed(bench):
    reference = fake("pytorch")
    runners = {"onnxruntime": fake("onnxruntime"), "pytorch": reference}
    record = bench(runners, runners=("onnxruntime",))
    assert [row.runner for row in record.rows] == ["onnxruntime"]
    assert record.rows[0].own.agreement.overall.pixels == 3 * 33 * 47
    assert len(reference.shapes) == 3


def test_a_pytorch_row_of_another_type_is_never_the_reference(bench):
    narrow = fake("pytorch:bf16", change=lambda labels: (label_of(labels) + 1) % 8)
    runners = {"pytorch:bf16": narrow, "onnxruntime": fake("onnxruntime"), "pytorch": fake("pytorch")}
    record = bench(runners, runners=("pytorch:bf16", "onnxruntime"))
    assert record.reference.runner == "pytorch"
    assert [row.own.agreement.overall.agreed for row in record.rows] == [0, 3 * 33 * 47]


@pytest.mark.parametrize("isolated", [False, True])
def test_notes_of_what_a_runner_chose_while_it_was_timed_are_in_its_row(bench, monkeypatch, isolated):
    class Learner(FakeRunner):
        def _upload(self, image):
            super()._upload(image)
            self.notes = (f"chose for {len(self.shapes)}",)

    class Child(nullcontext, Scripted):
        pid = os.getpid()
        notes = ("chose there",)

        def __init__(self, name, *_, **__):
            super().__init__(self)
            Scripted.__init__(self, name, [1.0])

    monkeypatch.setattr(run_module, "InChild", Child)
    runner = Learner("onnxruntime", change=label_of, card=CARD, num_classes=8)
    record = bench({"onnxruntime": runner, "pytorch": fake("pytorch")}, runners=("onnxruntime",), isolated=isolated)
    assert record.rows[0].notes == (("chose there",) if isolated else (f"chose for {3 + 1 + 4}",))


def test_of_several_files_the_first_is_the_reference_of_all_rows(bench, tmp_path):
    (tmp_path / "b.onnx").write_bytes(b"another")
    runner = fake("onnxruntime", change=loses_class_2)  # the fixture opens the same runner for both files
    others = ((str(tmp_path / "b.onnx"), ("onnxruntime",)),)
    record = bench({"pytorch": fake("pytorch"), "onnxruntime": runner}, others=others)
    assert [row.name for row in record.rows] == ["m pytorch", "m onnxruntime", "b onnxruntime"]
    assert (record.reference.file, record.reference.runner) == ("m", "pytorch")
    assert [model.name for model in record.models] == ["m.onnx", "b.onnx"]
    assert record.rows[2].own.agreement == record.rows[1].own.agreement
    assert from_json(to_json(record)) == record


def test_without_pytorch_the_first_row_of_several_files_is_the_reference_and_has_no_margins(bench, tmp_path):
    (tmp_path / "b.onnx").write_bytes(b"another")
    fakes = {"pytorch": GraphError("adopted"), "onnxruntime": fake("onnxruntime"), "openvino": fake("openvino")}
    others = ((str(tmp_path / "b.onnx"), ("openvino",)),)
    record = bench(fakes, runners=("onnxruntime",), others=others)
    assert record.reference.name == "m onnxruntime"
    assert record.rows[1].own.agreement.overall.pixels == 3 * 33 * 47
    assert record.rows[1].own.agreement.by_margin == ()
    assert record.reference_row() == record.rows[0]


def test_while_it_is_timed_the_reference_gives_labels_alone(bench):
    outputs = []

    class Watched(FakeRunner):
        def _execute(self) -> None:
            outputs.append(self.output_names)

    bench({"pytorch": Watched("pytorch", change=label_of, card=CARD, num_classes=8)})
    assert outputs[:3] == [("labels", "logits")] * 3
    assert outputs[3:] == [("labels",)] * (1 + 4)


def test_a_wrong_data_set_is_reported_before_a_runner_is_opened(bench):
    with pytest.raises(DataError, match="does not exist"):
        bench({"pytorch": AssertionError("opened")}, data=DataOptions("no/such/list.txt"))


def test_runners_are_closed_also_when_an_image_cannot_be_read(bench, tmp_path):
    log: list[str] = []
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"a\.png"):
        bench({"pytorch": fake("pytorch", log=log)}, data=DataOptions(str(tmp_path)))
    assert log == ["pytorch closed"]


def test_when_the_file_is_to_blame_for_all_it_is_one_error(bench):
    broken = GraphError("m.onnx cannot be read as ONNX")
    with pytest.raises(GraphError, match="cannot be read as ONNX"):
        bench({"pytorch": broken, "onnxruntime": broken})


def test_when_the_machine_is_to_blame_for_all_the_rows_say_so(bench):
    record = bench({"onnxruntime:cuda": RunnerError("no GPU"), "pytorch": RunnerError("no torch")})
    assert [row.status for row in record.rows] == ["skipped", "skipped"]
    assert record.rounds == ()
    assert record.reference is None
    assert record.reference_reason == "no torch"


def test_a_misspelt_runner_or_provider_is_an_error_and_not_a_row(bench):
    with pytest.raises(UnknownNameError, match="did you mean pytorch"):
        bench({"pytorhc": fake("x")})
    with pytest.raises(UnknownNameError, match="cudaa"):
        bench({"onnxruntime:cudaa": UnknownNameError("unknown provider 'cudaa'"), "pytorch": fake("pytorch")})


def test_a_missing_file_is_reported_before_anything_is_opened(bench, tmp_path):
    with pytest.raises(GraphError, match=r"none\.onnx does not exist"):
        bench({"pytorch": fake("pytorch")}, source=str(tmp_path / "none.onnx"))
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        bench({"pytorch": fake("pytorch")}, source=str(tmp_path / "none.pth"))


def test_generated_images_serve_a_model_of_other_classes_without_their_labels(bench):
    card = ModelCard("fcn8s", ("cat", "dog", *"abcdef"))
    runners = {"pytorch": fake("pytorch", card=card), "onnxruntime": fake("onnxruntime", card=card)}
    record = bench(runners, data=DataOptions(limit=3))
    assert record.data.labelled == 0
    assert record.rows[1].own.accuracy is None
    assert record.rows[1].own.agreement.overall.pixels == 3 * 192 * 256
    with pytest.raises(DataError, match="class 0 is 'cat' for the model and 'sky' in synthetic"):
        bench(runners)


def test_batches_of_two_are_timed_and_written_down(bench):
    record = bench({"pytorch": fake("pytorch")}, batch=2)
    assert record.shapes == ((2, 33, 47),)
    assert record.settings.batch == 2


def test_classes_without_names_are_those_of_the_model(bench, tmp_path):
    from PIL import Image

    label = np.zeros((33, 47), np.uint8)
    Image.fromarray(label).save(tmp_path / "label.png")
    Image.fromarray(np.stack([label] * 3, 2)).save(tmp_path / "image.png")
    (tmp_path / "list.txt").write_text("image.png label.png\n")
    record = bench({"pytorch": fake("pytorch")}, data=DataOptions(str(tmp_path / "list.txt")))
    assert record.data.classes == SYNTHETIC_CLASSES
    assert record.rows[0].own.accuracy.overall[0][0] == 33 * 47


def test_an_unreadable_image_stops_or_is_left_out_and_counted(bench, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((33, 47, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    options = {"source": str(tmp_path), "classes": SYNTHETIC_CLASSES}
    with pytest.raises(DataError, match=r"b\.png"):
        bench({"pytorch": fake("pytorch")}, data=DataOptions(**options))
    record = bench({"pytorch": fake("pytorch")}, data=DataOptions(**options, on_error="skip"))
    assert (record.data.images, record.data.left_out, record.data.labelled) == (1, 1, 0)


def loses_class_2(image: np.ndarray) -> np.ndarray:
    labels = label_of(image)
    return np.where(labels == 2, 3, labels).astype(np.uint8)


def test_wrong_labels_for_one_class_cost_that_class_its_iou_image_by_image(bench, tmp_path):
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in "ab":  # truth is what the fakes answer: red modulo 8
        image = generator.integers(0, 256, (33, 47, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        Image.fromarray(label_of(image[..., 0])).save(tmp_path / f"{name}_label.png")
    (tmp_path / "list.txt").write_text("a.png a_label.png\nb.png b_label.png\n")
    runners = {"pytorch": fake("pytorch"), "onnxruntime": fake("onnxruntime", change=loses_class_2)}
    right, wrong = bench(runners, data=DataOptions(str(tmp_path / "list.txt"))).rows
    before, after = np.array(right.own.accuracy.overall), np.array(wrong.own.accuracy.overall)
    assert before.sum() == np.trace(before) == 2 * 33 * 47
    lost = before[2, 2]
    per_class = scores(after).per_class_iou
    # class 2 has nothing left, class 3 as many false pixels as class 2 had; no other class is touched
    assert per_class == pytest.approx([1, 1, 0, before[3, 3] / (before[3, 3] + lost), 1, 1, 1, 1])
    assert np.array_equal(np.sum(wrong.own.accuracy.by_image, axis=0), after)
    assert [frame.name for frame in wrong.own.frames] == ["a.png", "b.png"]
    assert [frame.pixels - frame.agreed for frame in wrong.own.frames] == [
        counts[2][3] for counts in wrong.own.accuracy.by_image
    ]


def test_sizes_and_batches_make_a_cell_each_with_accuracy_at_that_size(bench):
    class Small(FakeRunner):
        """Takes no image higher than 50 pixels."""

        def _execute(self) -> None:
            if self._image.shape[1] > 50:
                raise RunnerError("there is too little memory")

    runners = {"pytorch": fake("pytorch"), "onnxruntime": Small("onnxruntime", change=label_of, card=CARD)}
    runners["onnxruntime"]._num_classes = 8
    settings = {"image_sizes": ((33, 47), (66, 94)), "batches": (1, 2), "saturation_s": 0.01}
    record = bench(runners, **settings)
    pytorch, ort = record.rows
    assert [cell.shape for cell in pytorch.resized] == [(1, 33, 47), (2, 33, 47), (1, 66, 94), (2, 66, 94)]
    assert [len(cell.latency.execute_ns) for cell in pytorch.resized] == [4] * 4
    assert all(cell.saturated.images > 0 and cell.saturated.seconds > 0 for cell in pytorch.resized)
    own, large = pytorch.resized[0].accuracy, pytorch.resized[3].accuracy
    assert own.overall == pytorch.own.accuracy.overall
    assert sum(map(sum, large.overall)) == 3 * 66 * 94
    assert (ort.status, [cell.shape for cell in ort.resized]) == ("ok", [(1, 33, 47), (2, 33, 47)])
    assert ort.notes == tuple(f"{n}x66x94: there is too little memory" for n in (1, 2))
    assert (record.settings.sizes, record.settings.batches) == (((33, 47), (66, 94)), (1, 2))
    assert from_json(to_json(record)) == record


def test_isolated_runners_are_opened_again_in_their_own_process_and_those_of_this_one_closed(bench, monkeypatch):
    opened = []

    class Child(Scripted):
        pid = 0

        def __init__(self, name, spec, source, *, threads, model, engine):
            super().__init__(name, [5.0])
            opened.append((name, spec))
            if spec == "onnxruntime:dml":
                raise RunnerError("its process ended with exit code 1")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            opened.append(f"{self.name} closed")

    monkeypatch.setattr(run_module, "InChild", Child)
    log: list[str] = []
    runners = {spec: fake(spec, log=log) for spec in ("pytorch", "onnxruntime", "onnxruntime:dml")}
    record = bench(runners, isolated=True)
    assert [row.status for row in record.rows] == ["ok", "ok", "failed"]
    assert record.rows[1].own.latency.execute_ns == (5_000_000,) * 4
    assert log[-3:] == ["pytorch closed", "onnxruntime closed", "onnxruntime:dml closed"]
    assert opened[3:] == ["onnxruntime closed", "pytorch closed"]
    assert record.settings.isolated


def test_engines_hold_every_cell_and_those_of_other_sizes_have_a_profile_each():
    dataset = open_dataset("synthetic:2:0:33x47")
    sized = run_module._profiles(dataset, BenchOptions(image_sizes=((40, 70), (20, 30)), batches=(1, 4)), SILENT)
    assert sized[0] == Profile((1, 32, 32), (1, 32, 32), (1, 64, 64))
    assert [profile.opt for profile in sized[1:]] == [(1, 20, 30), (4, 20, 30), (1, 40, 70), (4, 40, 70)]
    (own,) = run_module._profiles(dataset, BenchOptions(batch=1, batches=(1, 4)), SILENT)
    assert own.max == (4, 64, 64)


def test_the_page_can_be_followed_with_an_engine_on_a_gpu(net, monkeypatch, tmp_path):
    """D1: docs/guide.md and docs/engines.md prescribe `bench` on an engine; here on the fake driver."""
    lines = [
        shlex.split(line)
        for name in ("guide.md", "engines.md")
        for line in re.findall(r"fcn-deploy (bench \S+\.engine .*)", (ROOT / "docs" / name).read_text(encoding="utf-8"))
    ]
    assert len(lines) >= 2
    Image.fromarray(noise((1, 33, 47))[0]).save(tmp_path / "a.png")
    engine = str(Machine(monkeypatch, 1).build(net, PROFILES))
    for line in lines:
        line[1] = engine
        line[line.index("--data") + 1] = str(tmp_path)
        line[line.index("--json") + 1] = str(tmp_path / "engine.json")
        result = invoke(*line, "--iterations", "4", "--seconds", "1", "--saturation", "0", "--no-memory")
        assert (result.exit_code, result.stderr.count("error")) == (0, 0)
        (row,) = read_record(tmp_path / "engine.json").rows
        assert (row.runner, row.status) == ("tensorrt", "ok")


def test_an_engine_is_listed_next_to_its_file_and_says_why_it_does_not_run_here(small_onnx, tmp_path):
    """D1 without a GPU: the other rows are measured, and the exit code is 0."""
    if torch.cuda.is_available():
        pytest.skip("a GPU would read the fake engine")
    shutil.copy(small_onnx, tmp_path / "small.onnx")
    with pytest.MonkeyPatch.context() as patch:
        engine = Machine(patch, 1).build(tmp_path / "small.onnx", PROFILES)
    files, timing = ("bench", str(small_onnx), str(engine)), ("--iterations", "3", "--saturation", "0", "--no-memory")
    data = ("--data", "synthetic:2:0:33x47", "--json", str(tmp_path / "r.json"))
    result = invoke(*files, *timing, *data)
    own, other = (
        {row.runner: row for row in read_record(tmp_path / "r.json").rows if row.file == name}
        for name in ("small.onnx", "small.engine")
    )
    assert own["onnxruntime"].status == "ok"
    assert other["tensorrt"].status == "skipped"
    assert other["tensorrt"].reason
    assert result.exit_code == 0


def test_an_engine_is_benchmarked_as_it_is(net, monkeypatch, tmp_path):
    engine = str(Machine(monkeypatch, 1).build(net, PROFILES))
    Image.fromarray(noise((1, 33, 47))[0]).save(tmp_path / "a.png")
    data = DataOptions(str(tmp_path))
    record = run_bench(
        BenchOptions(engine, runners=("tensorrt", "onnxruntime"), data=data, budget=BUDGET, memory=False)
    )
    assert [row.status for row in record.rows] == ["ok", "skipped"]
    assert record.rows[0].own.saturated.streamed
    assert record.rows[1].reason.endswith("is an engine, and onnxruntime runs .onnx files; use tensorrt")
    assert record.reference.name == "net onnxruntime"  # the file that it was built from; PyTorch has no network of it
    assert record.rows[0].own.agreement.overall.pixels == 33 * 47
    net.unlink()
    options = BenchOptions(engine, runners=("tensorrt",), data=data, budget=BUDGET, memory=False, saturation_s=0.0)
    reason = "is an engine, and pytorch runs PyTorch networks; use tensorrt; --reference names the file that it was"
    assert reason in run_bench(options).reference_reason
