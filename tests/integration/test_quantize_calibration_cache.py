"""`quantize --calib-cache`: what was measured once is not measured again, and never taken for something else's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.commands.quantize import command
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.calibration import cache as calibration_cache
from fcn_deploy.quantization.calibration import measure as calibration_module
from fcn_deploy.quantization.calibration.cache import CacheKey, cache_key, read_cache, write_cache
from fcn_deploy.quantization.calibration.collect import CalibrationFiles, TensorSelection, collect_statistics
from fcn_deploy.quantization.calibration.histogram import Histogram
from fcn_deploy.quantization.calibration.images import open_checked
from fcn_deploy.quantization.calibration.measure import TensorStatistics
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.report import QuantizeReport
from tests.support.recorded_progress import RecordedProgress
from tests.support.small_fcn import CARD, images, small_weights, write_fcn


class Place:
    """A graph, six images, a cache's path and a count of the images that were run through the graph."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fcn = write_fcn(folder / "fcn.onnx")
        self.photos, self.cache = folder / "photos", folder / "fcn.calib"
        self.photos.mkdir()
        for index in range(6):
            Image.fromarray(images(1, (1, 34, 46), seed=index)[0][0]).save(self.photos / f"{index}.png")
        self.runs = 0
        self.recorded = RecordedProgress()

    def quantize(self, precision: str = "int8", out: str = "q.onnx", **options: object) -> QuantizeReport:
        self.runs, self.recorded = 0, RecordedProgress()
        given = {"calibration": self.photos, "calibration_cache": self.cache, **options}
        return quantize(self.fcn, self.folder / out, precision=precision, progress=self.recorded, **given)  # type: ignore[arg-type]

    def bytes_of(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @property
    def lines(self) -> list[str]:
        """What was said of the cache."""
        return [line for line in self.recorded.lines if str(self.cache) in line]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    opened = calibration_module.open_cpu_session

    def counting(path: Path, **given: object) -> SimpleNamespace:
        session = opened(path, **given)

        def run(names: Sequence[str], feeds: object) -> object:
            made.runs += 1
            return session.run(names, feeds)

        return SimpleNamespace(run=run)

    monkeypatch.setattr(calibration_module, "open_cpu_session", counting)
    return made


def test_a_second_call_runs_no_image_and_writes_the_same_bytes_as_without_a_cache(place):
    first = place.quantize(out="first.onnx")
    assert place.runs == 6
    assert first.cache is not None
    assert (first.cache.taken, first.cache.reason) == (0, "")
    second = place.quantize(out="second.onnx")
    assert (place.runs, place.lines) == (0, [])
    assert second.cache is not None
    assert second.cache.measured == 0
    assert second.clipped == first.clipped
    place.quantize(out="without.onnx", calibration_cache=None)
    assert place.runs == 6
    assert place.bytes_of("first.onnx") == place.bytes_of("second.onnx") == place.bytes_of("without.onnx")


OTHERS = [
    {"method": "entropy"},
    {"target": "cpu"},
    {"precision": "fp16"},
    {"precision": "int8+fp16", "method": "minmax"},
    {"quantize_first": False, "quantize_scores": False},
    {"keep": ("conv2",)},
]


def test_another_method_precision_target_or_choice_of_nodes_needs_no_second_pass(place):
    place.quantize()
    for index, options in enumerate(OTHERS):
        report = place.quantize(out=f"cached{index}.onnx", **options)
        assert place.runs == 0, options
        fresh = place.quantize(out=f"fresh{index}.onnx", calibration_cache=None, **options)
        assert place.bytes_of(f"cached{index}.onnx") == place.bytes_of(f"fresh{index}.onnx"), options
        assert report.largest_activation == fresh.largest_activation


def test_the_same_images_under_other_names_in_another_order_are_the_same(place):
    place.quantize(out="first.onnx")
    for index in range(6):
        (place.photos / f"{index}.png").rename(place.photos / f"{'cbafde'[index]}.png")
    report = place.quantize(out="second.onnx")
    assert place.runs == 0
    assert report.coverage is not None
    assert [Path(name).stem for name in report.coverage.frames.names] == list("abcdef")
    # The card names the data set by its path alone, so even the metadata are the same.
    assert place.bytes_of("first.onnx") == place.bytes_of("second.onnx")


def _another_graph(place: Place) -> None:
    write_fcn(place.fcn, small_weights(seed=1))


def _fewer_images(place: Place) -> None:
    (place.photos / "3.png").unlink()


def _one_image_twice(place: Place) -> None:
    shutil.copy(place.photos / "1.png", place.photos / "3.png")


def _truncated(place: Place) -> None:
    place.cache.write_bytes(place.cache.read_bytes()[:-100])


def _cut_within_the_header(place: Place) -> None:
    place.cache.write_bytes(place.cache.read_bytes()[:200])


def _a_flipped_bit(place: Place) -> None:
    raw = bytearray(place.cache.read_bytes())
    raw[-1] ^= 1
    place.cache.write_bytes(raw)


def _another_name_inside(place: Place) -> None:
    place.cache.write_bytes(place.cache.read_bytes().replace(b"relu2", b"relu9"))


def _emptied(place: Place) -> None:
    place.cache.write_bytes(b"")


STALE: list[tuple[Callable[[Place], None], str]] = [
    (_another_graph, "was measured on another graph"),
    (_fewer_images, "was measured on other images (6, now 5)"),
    (_one_image_twice, "was measured on other images (6, now 6)"),
    (_truncated, "is damaged (SafetensorError: "),
    (_cut_within_the_header, "is damaged (SafetensorError: "),
    (_a_flipped_bit, "is damaged (its checksum does not fit)"),
    (_another_name_inside, "is damaged (its checksum does not fit)"),
    (_emptied, "is empty"),
]


@pytest.mark.parametrize(("change", "reason"), STALE, ids=lambda value: getattr(value, "__name__", None))
def test_what_does_not_fit_is_reported_measured_again_and_replaced(place, change, reason):
    place.quantize()
    change(place)
    report = place.quantize(out="again.onnx")
    assert place.runs == report.images
    (line,) = place.lines
    assert line.startswith(f"{place.cache} {reason}")
    assert line.endswith(": the images are run again")
    assert report.cache is not None
    assert reason in f"{report.cache.reason} "
    assert report.coverage is not None
    found = read_cache(place.cache, cache_key(place.fcn, report.coverage.frames.digests))
    assert found.reason == ""
    assert found.calibration is not None
    assert found.calibration.images == report.images


def test_another_onnxruntime_or_format_measures_again(place, monkeypatch):
    place.quantize()
    with monkeypatch.context() as patch:
        patch.setattr(calibration_cache, "load_onnxruntime", lambda: SimpleNamespace(__version__="1.2.3"))
        place.quantize()
        assert place.runs == 6
        assert "was measured by onnxruntime " in place.lines[0]
        assert "(now 1.2.3)" in place.lines[0]
    with monkeypatch.context() as patch:
        patch.setattr(calibration_cache, "FORMAT", 2)
        place.quantize()
        assert place.runs == 6
        assert "is of format 1, this version's is 2" in place.lines[0]


def test_changed_external_data_is_another_graph(place):
    model = onnx.load(place.fcn)
    onnx.save(model, place.fcn, save_as_external_data=True, location="fcn.data", size_threshold=0)
    place.quantize()
    place.quantize()
    assert place.runs == 0
    raw = np.fromfile(place.folder / "fcn.data", np.float32)
    (raw * 2).tofile(place.folder / "fcn.data")
    place.quantize()
    assert place.runs == 6
    assert "another graph" in place.lines[0]


@pytest.mark.parametrize("content", [b"TRT-8601-EntropyCalibration2\nimage: 3c010a14\n", b"road\ncar\nsky\n"])
def test_a_file_that_is_something_else_is_left_as_it_is(place, content):
    place.cache.write_bytes(content)
    report = place.quantize()
    assert place.runs == 6
    (line,) = place.lines
    assert line.endswith(
        "is not a calibration cache: the images are run again; it is left as it is, give another file (--calib-cache)"
    )
    assert place.cache.read_bytes() == content
    assert report.cache is not None
    assert report.cache.reason == "is not a calibration cache"


def test_the_tensors_that_a_cache_lacks_are_measured_and_added(place):
    place.quantize()
    model, found = load_graph(place.fcn), open_checked(CARD, DataOptions(str(place.photos)))
    key = cache_key(place.fcn, found.coverage.frames.digests)
    whole = read_cache(place.cache, key).calibration
    assert whole is not None
    write_cache(place.cache, key, whole.only(["pool"], ["conv1"]))
    place.runs = 0
    wanted = TensorSelection(["pool", "relu2"], ["logits"])
    seen, use = collect_statistics(CalibrationFiles(place.fcn, place.fcn, place.cache), model, CARD, found, wanted)
    assert place.runs == 6
    assert use is not None
    assert (use.taken, use.measured) == (2, len(whole.largest) - 2)
    assert set(seen.histograms) == {"pool", "relu2"}
    assert set(seen.largest) == {"pool", "relu2", "logits"}
    again = read_cache(place.cache, key).calibration
    assert again is not None
    _assert_same(again, whole)


def _assert_same(one: TensorStatistics, other: TensorStatistics) -> None:
    assert (one.images, one.largest) == (other.images, other.largest)
    assert set(one.histograms) == set(other.histograms)
    for name, histogram in one.histograms.items():
        expected = other.histograms[name]
        assert np.array_equal(histogram.counts, expected.counts)
        for attribute in ("low", "high", "width", "zeros"):
            assert getattr(histogram, attribute) == getattr(expected, attribute)


def test_of_several_writers_at_once_the_reader_finds_one_and_never_a_mixture(place):
    def calibration(number: int) -> TensorStatistics:
        histogram = Histogram()
        histogram.add(np.full((3, 5), number, np.float32))
        return TensorStatistics(2, {"a": histogram}, {"a": float(number)})

    key = CacheKey("graph", "images", 2, "1.0")
    write_cache(place.cache, key, calibration(1))
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write_cache, place.cache, key, calibration(index % 7 + 1)) for index in range(60)]
        found = [read_cache(place.cache, key) for _ in range(200)]
    assert all(writer.exception() is None for writer in writers)
    assert {one.reason for one in found} == {""}
    for one in found:
        assert one.calibration is not None
        assert one.calibration.histograms["a"].high == one.calibration.largest["a"]
    assert [path.name for path in place.folder.iterdir() if path.name.startswith(".")] == []


def test_a_cache_that_cannot_be_kept_costs_no_result(place, monkeypatch):
    def full(*arguments: object) -> None:
        raise OutputError("cannot write fcn.calib: no space is left on the device")

    monkeypatch.setattr("fcn_deploy.quantization.calibration.collect.write_cache", full)
    place.quantize()
    assert (place.folder / "q.onnx").is_file()
    assert any(line.endswith("; the calibration is not kept") for line in place.recorded.lines)


def test_a_cache_in_the_place_of_a_model_or_without_images_is_refused(place):
    for path in (place.fcn, place.folder / "q.onnx"):
        with pytest.raises(OutputError, match="cannot be a model and the calibration cache"):
            place.quantize(calibration_cache=path)
    with pytest.raises(DataError, match="a calibration cache is of images"):
        place.quantize("fp16", calibration=None)
    with pytest.raises(OutputError, match="cannot write"):
        place.quantize(calibration_cache=Path("/proc/nowhere/c"))


def test_the_command_reports_the_cache_in_text_and_in_json(place):
    call = [str(place.fcn), "--precision", "int8", "--calib", str(place.photos), "-o", str(place.folder / "q.onnx")]
    call += ["--calib-cache", str(place.cache)]
    first = CliRunner().invoke(command, call)
    assert f" measured, 0 taken from {place.cache}" in first.output
    second = CliRunner().invoke(command, call)
    assert f"measurements taken from {place.cache}; the images were not run for them" in second.output
    report = json.loads(CliRunner().invoke(command, [*call, "--json", "-"]).stdout)
    # conv1 with what stands before it, and the float results from there to the logits.
    assert set(report["tensors"]) == {"pool", "relu2"}  # what the quantised convolutions conv2 and conv3 read
    assert report["calibration_cache"] == {"path": str(place.cache), "taken": 12, "measured": 0, "reason": ""}
