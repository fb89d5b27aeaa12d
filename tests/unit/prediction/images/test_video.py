"""Videos frame by frame, with PyAV where it is installed and without it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from fcn_deploy.errors import ImageError, MissingDependencyError
from fcn_deploy.prediction.images.lazy_images import count_images, iterate_images
from fcn_deploy.prediction.images.sources import ImageSource, find_sources
from fcn_deploy.prediction.images.video import frames, upright
from fcn_deploy.prediction.predict import predict
from tests.support.onnx_files import write_graph

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV (av) is not installed")
SHADES = range(0, 250, 10)


def write_video(path: Path, shades=SHADES, size=(48, 64)) -> Path:
    """MPEG-4 part 2 of one grey shade a frame, 48 x 64."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for shade in shades:
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def source(path: Path) -> ImageSource:
    return ImageSource(path, PurePosixPath(path.name))


@needs_av
def test_every_frame_is_an_image_in_its_order_under_a_name_of_its_own(tmp_path):
    sources = [source(write_video(tmp_path / "a b.mp4"))]
    found = list(iterate_images(sources))
    assert count_images(sources) == len(found) == len(SHADES)
    assert [str(item.name) for item in found[:2]] == ["a b.mp4/000000", "a b.mp4/000001"]
    for item, shade in zip(reversed(found), reversed(SHADES), strict=True):
        image = item.load()
        assert (image.dtype, image.shape) == (np.uint8, (48, 64, 3))
        # 8-bit video keeps 219 of 256 shades, and its quantiser is off by a few
        assert np.abs(image.astype(int) - shade).max() <= 6


@needs_av
def test_frames_are_written_below_the_name_of_the_video(tmp_path):
    write_video(tmp_path / "clip.mp4")
    report = predict(write_graph(tmp_path / "m.onnx"), tmp_path / "clip.mp4", tmp_path / "o")
    assert (report.written, report.failures) == (len(SHADES), ())
    written = sorted(str(path.relative_to(tmp_path / "o")) for path in (tmp_path / "o").rglob("*.png"))
    assert written == [f"clip.mp4/{number:06}.png" for number in range(len(SHADES))]


@needs_av
def test_a_file_that_is_no_video_is_one_failure_and_the_next_one_goes_on(tmp_path):
    path = write_video(tmp_path / "a.avi")
    junk = tmp_path / "junk.avi"
    junk.write_bytes(b"no video at all")
    found = list(iterate_images([source(junk), source(path)]))
    assert [item.index for item in found] == list(range(1 + len(SHADES)))
    with pytest.raises(ImageError, match=r"junk\.avi is not a video, or damaged"):
        found[0].load()
    assert found[1].load().shape == (48, 64, 3)


@needs_av
def test_a_phone_video_that_is_to_be_shown_turned_gives_upright_frames(tmp_path):
    path = write_video(tmp_path / "a.mp4", shades=range(0, 250, 50), size=(32, 96))
    one, zero = (1 << 16).to_bytes(4, "big"), bytes(4)
    clockwise = (
        zero + one + zero + (-(1 << 16)).to_bytes(4, "big", signed=True) + zero * 4 + (1 << 30).to_bytes(4, "big")
    )
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # the track's display matrix, ISO 14496-12
    data[start : start + 36] = clockwise
    path.write_bytes(bytes(data))
    turned = [item.load() for item in iterate_images([source(path)])]
    assert {image.shape for image in turned} == {(96, 32, 3)}

    class Frame:
        """As PyAV gives it: the angle by which the frame is turned counter-clockwise for display."""

        rotation = -90

        def to_ndarray(self, format):
            return np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)

    # 0 1 2 / 3 4 5 turned clockwise
    assert upright(Frame())[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]


@needs_av
@pytest.mark.parametrize("name", ["cut.mkv", "cut.avi"])
def test_a_video_that_was_cut_short_gives_its_frames_and_a_failure(tmp_path, name):
    whole = write_video(tmp_path / f"whole{name[3:]}", shades=range(0, 250, 2))
    assert len(list(iterate_images([source(whole)]))) == 125  # 5 s
    (tmp_path / name).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = list(iterate_images([source(tmp_path / name)]))
    assert 25 < len(found) < 110
    for item in found[:-1]:
        assert item.load().shape == (48, 64, 3)
    with pytest.raises(ImageError, match=r"is cut off: it ends after \d\.\d of \d\.\d s"):
        found[-1].load()


@needs_av
def test_a_missing_video_and_an_empty_one_are_failures(tmp_path):
    (tmp_path / "empty.mkv").write_bytes(b"")
    for name in ("none.mp4", "empty.mkv"):
        (item,) = iterate_images([source(tmp_path / name)])
        with pytest.raises(ImageError, match=name):
            item.load()


@needs_av
def test_no_other_file_is_read_by_what_a_file_says_or_is_called(tmp_path, monkeypatch):
    write_video(tmp_path / "other.mp4")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    monkeypatch.chdir(tmp_path)
    (item,) = iterate_images([source(Path("list.mp4"))])
    with pytest.raises(ImageError, match=r"list\.mp4 is not a video"):
        item.load()
    for name in ("concat:other.mp4", "pipe:0.mp4"):
        write_video(tmp_path / "own.mp4", shades=(10, 20)).rename(tmp_path / name)
        assert len(list(iterate_images([source(Path(name))]))) == 2


def test_without_pyav_a_video_names_the_extra_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"")
    assert find_sources([str(tmp_path / "a.mp4")])[0].is_video
    model = write_graph(tmp_path / "m.onnx")
    with pytest.raises(MissingDependencyError, match="av"):
        predict(model, tmp_path / "a.mp4", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@needs_av
def test_a_pipe_is_called_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(ImageError, match=r"x\.mp4: it is a pipe, a socket or a device; expected a plain file"):
        next(frames(tmp_path / "x.mp4"))
