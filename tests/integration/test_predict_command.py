"""`fcn-deploy predict` as a user calls it, on small networks."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import onnx as onnx_package
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.commands.predict import command
from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import DataError, FcnDeployError, OutputError
from fcn_deploy.runners.registry import open_runner
from tests.support.child_process import finish
from tests.support.onnx_files import CARD, write_graph

SIZES = ((33, 47), (47, 33), (1, 1), (33, 47), (64, 31))


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture
def photos(tmp_path):
    """Eleven images in two folders, of five sizes and three kinds, upright and turned."""
    for index in range(11):
        folder = tmp_path / "photos" / ("ü b" if index % 2 else "a/c")
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(SyntheticDataset(11, 0, SIZES[index % 5])[index].image)
        exif = image.getexif()
        exif[0x0112] = 6 if index == 4 else 1
        image.save(folder / f"{index}.{('jpg', 'png', 'webp')[index % 3]}", exif=exif)
    return tmp_path / "photos"


def predict(*arguments: object, code: int = 0, stdin: bytes | None = None):
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], input=stdin)
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def expected(onnx: Path, photos: Path) -> dict[str, np.ndarray]:
    """Labels by a plain loop, by the names of the results."""
    with open_runner("onnxruntime", str(onnx), threads=1) as runner:
        return {
            str(path.relative_to(photos).with_suffix("")): runner.infer({"image": load_image(path)[None]})["labels"][0]
            for path in photos.rglob("*.*")
        }


@pytest.mark.parametrize("arguments", [(), ("--batch", "3"), ("--lanes", "1", "--workers", "1"), ("--threads", "1")])
def test_a_folder_gives_the_labels_of_a_plain_loop_under_the_names_of_its_images(onnx, photos, tmp_path, arguments):
    result = predict(onnx, photos, "-o", tmp_path / "masks", *arguments)
    assert f"onnxruntime wrote 11 label maps to {tmp_path / 'masks'} in" in result.stdout
    wanted = expected(onnx, photos)
    assert files(tmp_path / "masks") == sorted(f"{name}.png" for name in wanted)
    for name, labels in wanted.items():
        assert np.array_equal(load_label(tmp_path / "masks" / f"{name}.png"), labels), name
    with Image.open(tmp_path / "masks" / "a" / "c" / "0.png") as image:
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(shown, np.asarray(CARD.palette, np.uint8)[wanted["a/c/0"]])


def test_a_turned_image_has_a_label_map_of_its_upright_size(onnx, photos, tmp_path):
    predict(onnx, photos, "-o", tmp_path / "masks")
    with Image.open(photos / "a/c/4.png") as stored, Image.open(tmp_path / "masks/a/c/4.png") as own:
        assert (stored.size, own.size) == ((31, 64), (64, 31))


def test_formats_overlays_and_areas_agree(onnx, photos, tmp_path):
    predict(onnx, photos, "-o", tmp_path / "npy", "--format", "npy", "--overlay", "--areas", tmp_path / "a b.csv")
    predict(onnx, photos, "-o", tmp_path / "raw", "--format", "raw", "--keep-suffix")
    with (tmp_path / "a b.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == [str(path) for path in map(Path, sorted(row["image"] for row in rows))]
    for row in rows:
        labels = np.load((tmp_path / "npy" / row["image"]).with_suffix(".npy"))
        assert np.array_equal(load_label(tmp_path / "raw" / f"{row['image']}.png"), labels)
        assert int(row["pixels"]) == labels.size
        assert [int(row[name]) for name in CARD.classes] == [(labels == index).sum() for index in range(3)]
        with Image.open((tmp_path / "npy" / row["image"]).with_suffix(".overlay.jpg")) as overlay:
            assert overlay.size == labels.shape[::-1]
    assert len(files(tmp_path / "npy")) == 22


def test_one_image_may_go_to_one_file(onnx, photos, tmp_path):
    photo = photos / "a" / "c" / "0.jpg"
    predict(onnx, photo, "-o", tmp_path / "own name.png", "--overlay")
    assert files(tmp_path) == sorted([*files_of(photos), "own name.overlay.jpg", "own name.png"])
    with pytest.raises(OutputError, match="is one file, and there are 11 sources"):
        predict(onnx, photos, "-o", tmp_path / "own name.png")


@pytest.mark.parametrize(("name", "file_format"), [("a.jpg", "indexed"), ("a.npy", "raw"), ("a.png", "npy")])
def test_a_target_that_is_named_like_a_file_of_another_kind_is_refused(onnx, photos, tmp_path, name, file_format):
    with pytest.raises(OutputError, match=rf"{name} is named like a file, and {file_format} label maps end in"):
        predict(onnx, photos, "-o", tmp_path / name, "--format", file_format)
    (tmp_path / name).mkdir()
    predict(onnx, photos, "-o", tmp_path / name, "--format", file_format)
    assert len(files(tmp_path / name)) == 11


def files_of(photos: Path) -> list[str]:
    return [f"photos/{name}" for name in files(photos)]


def test_lists_globs_and_standard_input_give_the_same_labels(onnx, photos, tmp_path):
    paths = sorted(photos.rglob("*.jpg"))
    (photos / "list.txt").write_text("".join(f'"{path.relative_to(photos)}" none.png\n' for path in paths))
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    predict(onnx, photos / "list.txt", "-o", tmp_path / "list")
    predict(onnx, photos / "**" / "*.jpg", "-o", tmp_path / "glob")
    predict(onnx, "-", "-o", tmp_path / "stdin", stdin=stdin)
    assert files(tmp_path / "list") == files(tmp_path / "glob") == ["a/c/0.png", "a/c/6.png", "ü b/3.png", "ü b/9.png"]
    below = tmp_path / "stdin" / Path(*photos.parts[1:])
    for name in files(tmp_path / "list"):
        assert (below / name).read_bytes() == (tmp_path / "list" / name).read_bytes()


def bad_images(folder: Path) -> dict[str, str]:
    """Images that cannot be used, with what is said of each."""
    folder.mkdir()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_bytes(b"no image at all")
    good = io.BytesIO()
    Image.fromarray(SyntheticDataset(1, 0, (64, 96))[0].image).save(good, "JPEG")
    (folder / "cut.jpg").write_bytes(good.getvalue()[: len(good.getvalue()) // 2])
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    write_bomb(folder / "bomb.png")
    return {
        "bomb.png": "is too large",
        "cut.jpg": "is damaged or cut off",
        "empty.jpg": "is empty (0 bytes)",
        "gone.jpg": "does not exist",
        "pipe.jpg": "is a device or a pipe",
        "text.png": "is not an image",
    }


def write_bomb(path: Path, side: int = 20_000) -> None:
    """A PNG of a few hundred bytes whose header says `side` x `side` pixels."""
    small = io.BytesIO()
    Image.new("1", (16, 16)).save(small, "PNG")
    data = bytearray(small.getvalue())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def test_broken_images_are_skipped_and_reported_at_the_end_with_exit_code_3(onnx, photos, tmp_path):
    said = bad_images(photos / "bad")
    result = predict(onnx, photos, "-o", tmp_path / "masks", "--areas", tmp_path / "a.csv", code=3)
    lines = result.stdout.splitlines()
    first = lines.index("6 images could not be used:")
    assert len(lines) == first + 7
    for line, (name, words) in zip(lines[first + 1 :], said.items(), strict=True):
        assert name in line
        assert words in line
    assert len(files(tmp_path / "masks")) == 11
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 12
    plain = json.loads(predict(onnx, photos, "-o", tmp_path / "masks", "--json", "-", code=3).stdout)
    assert (plain["written"], plain["skipped"], len(plain["failures"])) == (11, 0, 6)
    assert plain["failures"][2]["name"] == "bad/empty.jpg"


def test_nothing_but_broken_images_is_an_error(onnx, tmp_path):
    bad_images(tmp_path / "bad")
    with pytest.raises(DataError, match=r"none of the 6 images could be used; first: .*bomb\.png is too large"):
        predict(onnx, tmp_path / "bad", "-o", tmp_path / "masks", "--areas", tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()
    with pytest.raises(DataError, match=r"^[^ ]*empty\.jpg is empty"):
        predict(onnx, tmp_path / "bad" / "empty.jpg", "-o", tmp_path / "masks")


def test_a_list_may_name_a_folder_as_an_image(onnx, photos, tmp_path):
    (photos / "x.jpg").mkdir()
    (photos / "list.txt").write_text("x.jpg\na/c/0.jpg\n")
    result = predict(onnx, photos / "list.txt", "-o", tmp_path / "masks", code=3)
    assert "x.jpg is a folder; expected an image file" in result.stdout
    assert files(tmp_path / "masks") == ["a/c/0.png"]


def test_results_next_to_their_images_stay_out_of_the_next_run(onnx, photos):
    for _ in range(2):
        assert "wrote 11 label maps" in predict(onnx, photos, "-o", photos / "masks", "--overlay").stdout
    with pytest.raises(OutputError, match="would lie among the images"):
        predict(onnx, photos, "-o", photos)


def test_what_is_there_already_is_left_out_and_still_counted(onnx, photos, tmp_path):
    masks, table = tmp_path / "masks", tmp_path / "a.csv"
    predict(onnx, photos, "-o", masks, "--areas", table)
    whole = table.read_bytes()
    before = {name: (masks / name).stat().st_mtime_ns for name in files(masks)}
    (masks / "a" / "c" / "2.png").unlink()
    (masks / "a" / ".c.png.0123abcd.tmp").mkdir()
    result = predict(onnx, photos, "-o", masks, "--areas", table, "--skip-existing")
    assert "wrote 1 label map to" in result.stdout
    assert "10 images had theirs already" in result.stdout
    assert table.read_bytes() == whole
    after = {name: (masks / name).stat().st_mtime_ns for name in files(masks)}
    assert [name for name in after if after[name] != before[name]] == ["a/c/2.png"]
    assert not list(masks.rglob("*.tmp"))
    Image.new("L", (47, 33), 9).save(masks / "a" / "c" / "2.png")
    other = predict(onnx, photos, "-o", masks, "--areas", table, "--skip-existing", code=3).stdout
    assert "2.png gives label 9, but there are 3 classes: it is another model's; remove it" in other
    again = predict(onnx, photos, "-o", masks, "--skip-existing").stdout
    assert again.startswith("onnxruntime wrote 0 label maps")


def test_a_model_without_a_card_gives_labels_and_no_areas(photos, tmp_path):
    model = onnx_package.load(write_graph(tmp_path / "m.onnx"))
    del model.metadata_props[:]
    onnx_package.save(model, tmp_path / "m.onnx")
    predict(tmp_path / "m.onnx", photos, "-o", tmp_path / "masks")
    assert len(files(tmp_path / "masks")) == 11
    with pytest.raises(OutputError, match="holds no model card"):
        predict(tmp_path / "m.onnx", photos, "-o", tmp_path / "masks", "--areas", tmp_path / "a.csv")


def test_options_that_cannot_be_are_usage_errors(onnx, photos):
    for arguments in ((photos,), (photos, "-o", "m", "--batch", 0), (photos, "-o", "m", "--alpha", 2), ("-o", "m")):
        predict(onnx, *arguments, code=2)


def start(*arguments: object, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fcn_deploy", "predict", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """180 images, as links to six files."""
    folder = tmp_path_factory.mktemp("many")
    for index in range(180):
        path = folder / f"{index % 3}" / f"{index:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        if index < 6:
            Image.fromarray(SyntheticDataset(6, 0, (180, 240))[index].image).save(path)
        else:
            os.link(folder / f"{index % 3}" / f"{index % 6:03}.jpg", path)
    return folder


def wait_for_results(process: subprocess.Popen[str], masks: Path, count: int) -> None:
    while process.poll() is None and len(list(masks.glob("[!.]*/*.png"))) < count:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("extra", [("--overlay",), ("--tile", "100", "--threads", "1")])
def test_a_run_that_was_killed_twice_is_finished_by_skip_existing_with_every_result_whole(onnx, many, tmp_path, extra):
    masks = tmp_path / "masks"
    for enough in (20, 60):
        process = start(onnx, many, "-o", masks, *extra, "--areas", tmp_path / "a.csv", "--skip-existing")
        wait_for_results(process, masks, enough)
        process.kill()
        process.communicate()
        assert enough <= len(list(masks.glob("[!.]*/*.png"))) < 180
        assert not (tmp_path / "a.csv").exists()
    predict(onnx, many, "-o", masks, *extra, "--areas", tmp_path / "a.csv", "--skip-existing")
    predict(onnx, many, "-o", tmp_path / "whole", *extra, "--areas", tmp_path / "whole.csv")
    assert files(masks) == files(tmp_path / "whole")
    assert len(files(masks)) == (360 if "--overlay" in extra else 180)
    for name in files(masks):
        assert (masks / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list(masks.rglob("*.tmp"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_a_polite_kill_leave_whole_results_and_no_temporary_files(onnx, many, tmp_path, sent, code):
    masks = tmp_path / "masks"
    process = start(onnx, many, "-o", masks, "--areas", tmp_path / "a.csv")
    wait_for_results(process, masks, 10)
    process.send_signal(sent)
    stdout, stderr = finish(process)
    assert (process.returncode, stdout) == (code, "")
    assert "Traceback" not in stderr
    assert 10 <= len(list(masks.glob("[!.]*/*.png"))) < 180
    assert not list(masks.rglob("*.tmp"))
    assert files(tmp_path) == [f"masks/{name}" for name in files(masks)]
    for path in masks.glob("*/*.png"):
        assert load_label(path).shape == (180, 240)


def test_a_full_disk_is_one_line_and_leaves_what_was_written_whole(onnx, many, tmp_path):
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))  # noqa: E731
    process = start(onnx, many, "-o", tmp_path / "masks", "--format", "npy", preexec_fn=limit)
    _, stderr = finish(process)
    assert process.returncode == 1
    assert stderr.startswith(f"error: cannot write {tmp_path / 'masks'}")
    assert "the file would be larger" in stderr
    assert len(stderr.splitlines()) == 1
    assert files(tmp_path) == []


def test_a_large_image_within_the_limit_brings_no_warning_of_pillow(onnx, tmp_path):
    write_bomb(tmp_path / "large.png", side=10_000)
    with (tmp_path / "large.png").open("r+b") as stream:
        stream.truncate(50)  # so that it is refused, and costs nothing
    process = start(onnx, tmp_path / "large.png", "-o", tmp_path / "masks")
    _, stderr = finish(process)
    assert (process.returncode, stderr.count("\n")) == (1, 1)
    assert "large.png is damaged or cut off" in stderr


def test_a_folder_that_cannot_be_written_is_reported_before_the_model_is_opened(photos):
    with pytest.raises(OutputError, match="cannot write"):
        predict("none.onnx", photos, "-o", "/proc/nowhere")


def test_a_pipe_gets_the_summary_and_no_bars(onnx, photos, tmp_path):
    stdout, stderr = finish(start(onnx, photos, "-o", tmp_path / "masks"))
    assert stderr == ""
    assert stdout.startswith("onnxruntime wrote 11 label maps")
    assert stdout.count("\n") == 1
