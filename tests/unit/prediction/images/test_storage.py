"""Images and results in an object store, by real requests to one on this machine."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.commands.predict import command
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import DataError, FcnDeployError, MissingDependencyError, OutputError, UnknownNameError
from fcn_deploy.prediction.images.sources import find_sources
from fcn_deploy.prediction.images.storage import Storage, is_address
from tests.support.object_store import object_store
from tests.support.onnx_files import write_graph

NAMES = ("a/c/0.jpg", "a/1.png", "ü b/2.jpg", "ü b/3.tif")


@pytest.fixture
def store(monkeypatch):
    with object_store(monkeypatch) as options:
        yield lambda path: Storage.of(f"s3://bucket/{path}?{options}")


@pytest.fixture
def photos(store, tmp_path):
    """The same four images in a folder and in the store, which also holds what is no image; the folder."""
    for index, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(SyntheticDataset(4, 0, (33, 47))[index].image).save(path)
        store("photos").upload(path, PurePosixPath(name))
    (tmp_path / "notes.txt").write_text("x")
    store("photos").upload(tmp_path / "notes.txt", PurePosixPath("notes.txt"))
    store("photos").upload(tmp_path / "notes.txt", PurePosixPath(".hidden.jpg"))
    return tmp_path / "photos"


@pytest.fixture
def onnx(tmp_path):
    return write_graph(tmp_path / "small.onnx")


def predict(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def downloaded(storage: Storage, folder: Path) -> dict[str, bytes]:
    found = {}
    for index, name in enumerate(storage.files()):
        storage.download(name, folder / str(index))
        found[str(name)] = (folder / str(index)).read_bytes()
    return found


def local(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_a_store_gives_what_a_folder_gives(store, photos, onnx, tmp_path):
    predict(onnx, photos, "-o", tmp_path / "here", "--overlay", "--areas", tmp_path / "here.csv")
    told = predict(onnx, store("photos"), "-o", tmp_path / "there", "--overlay", "--areas", tmp_path / "there.csv")
    assert told.startswith("onnxruntime wrote 4 label maps")
    assert len(local(tmp_path / "there")) == 8
    assert local(tmp_path / "there") == local(tmp_path / "here")
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.parametrize("options", [("--overlay",), ("--format", "npy"), ("--tile", "32")])
def test_results_in_a_store_are_those_of_a_folder(store, photos, onnx, tmp_path, options):
    predict(onnx, photos, "-o", tmp_path / "here", *options)
    told = predict(onnx, photos, "-o", store("masks"), *options)
    assert f"4 label maps to {store('masks')} in" in told
    assert downloaded(store("masks"), tmp_path) == local(tmp_path / "here")


def test_what_a_store_holds_already_is_left_out_and_counted(store, photos, onnx, tmp_path):
    predict(onnx, photos / "a", "-o", store("masks"))
    areas = [tmp_path / "1.csv", tmp_path / "2.csv"]
    told = predict(onnx, photos / "a", "-o", store("masks"), "--skip-existing", "--areas", areas[0])
    assert told.startswith("onnxruntime wrote 0 label maps")
    assert "2 images had theirs already" in told
    predict(onnx, photos / "a", "-o", tmp_path / "here", "--areas", areas[1])
    assert areas[0].read_bytes() == areas[1].read_bytes()


def test_a_damaged_result_in_a_store_is_identified_by_its_address(store, photos, onnx, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    store("masks").upload(tmp_path / "1.png", PurePosixPath("1.png"))
    arguments = ("--skip-existing", "--areas", tmp_path / "a.csv")
    told = predict(onnx, photos / "a", "-o", store("masks"), *arguments, code=3)
    assert "s3://bucket/masks/1.png is not an image" in told


def test_one_object_and_a_list_of_addresses_are_sources(store, photos, onnx, tmp_path, monkeypatch):
    one = str(store("photos/a/1.png"))
    predict(onnx, one, "-o", tmp_path / "one")
    assert list(local(tmp_path / "one")) == ["1.png"]
    listed = CliRunner().invoke(command, [str(onnx), "-", "-o", str(tmp_path / "two")], input=f"{one}\n".encode())
    assert listed.exit_code == 0, listed.output
    assert local(tmp_path / "two") == local(tmp_path / "one")


def test_results_stay_apart_from_the_images_of_a_store(store, photos, onnx, tmp_path):
    predict(onnx, store("photos"), "-o", store("photos/masks"))
    assert len(find_sources([str(store("photos"))], exclude=store("photos/masks"))) == 4
    assert len(find_sources([str(store("photos"))])) == 8
    with pytest.raises(OutputError, match=r"would lie among the images of s3://bucket/photos; choose another folder"):
        predict(onnx, store("photos"), "-o", store("photos"))
    with pytest.raises(OutputError, match=r"s3://bucket/photos/a/1\.png would replace an image"):
        predict(onnx, store("photos/a/1.png"), "-o", store("photos/a"))


def test_a_broken_object_is_identified_by_its_address(store, photos, onnx, tmp_path):
    (tmp_path / "zero.jpg").write_bytes(b"")
    store("photos").upload(tmp_path / "zero.jpg", PurePosixPath("zero.jpg"))
    told = predict(onnx, store("photos"), "-o", tmp_path / "masks", code=3)
    assert "s3://bucket/photos/zero.jpg is empty (0 bytes)" in told
    assert len(local(tmp_path / "masks")) == 4


def test_what_is_not_there_is_one_line(store, photos, onnx, tmp_path):
    with pytest.raises(DataError, match=r"^cannot read s3://bucket/nothing: .*not exist[^\n]*$"):
        predict(onnx, store("nothing"), "-o", tmp_path / "masks")
    store("text").upload(tmp_path / "small.onnx", PurePosixPath("small.onnx"))
    with pytest.raises(DataError, match="s3://bucket/text holds no image files"):
        predict(onnx, store("text"), "-o", tmp_path / "masks")
    options = str(store("x")).partition("?")[2]
    with pytest.raises(OutputError, match=r"^cannot write s3://other/masks/1\.png: .*NO_SUCH_BUCKET[^\n]*$"):
        predict(onnx, photos / "a" / "1.png", "-o", f"s3://other/masks?{options}")
    with pytest.raises(DataError, match=r"^cannot read s3://bucket/x: .*connect[^\n]*$"):
        Storage.of("s3://bucket/x?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1").files()


def test_addresses_are_distinguished_from_paths():
    assert is_address("s3://bucket/x")
    assert is_address("s3://bucket/a\nb")
    for text in ("photos/a", "/photos", "-", "C:\\photos", "a:b", "photos//x"):
        assert not is_address(text)
    with pytest.raises(UnknownNameError, match="unknown store 's4' \\(known: abfs, abfss, gs, s3\\)"):
        find_sources(["s4://bucket/x"])


def test_addresses_are_put_together_without_their_options():
    storage = Storage.of("s3://bucket/a/b/?region=x")
    assert storage.address_of(PurePosixPath("c/d.jpg")) == "s3://bucket/a/b/c/d.jpg"
    assert storage.split() == (Storage("s3://bucket/a?region=x"), PurePosixPath("b"))


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    nowhere = Storage.of("s3://bucket/none-yet")
    for call in (nowhere.files, lambda: nowhere.exists(PurePosixPath("a")), lambda: find_sources([str(nowhere)])):
        with pytest.raises(
            MissingDependencyError, match=r"^pyarrow is not installed; try: pip install 'fcn-deploy\[s3\]'"
        ):
            call()


def test_labels_are_read_back_as_they_were_written(store, photos, onnx, tmp_path):
    predict(onnx, photos / "a", "-o", store("npy"), "--format", "npy")
    predict(onnx, photos / "a", "-o", tmp_path / "npy", "--format", "npy")
    store("npy").download(PurePosixPath("1.npy"), tmp_path / "1.npy")
    assert np.array_equal(np.load(tmp_path / "1.npy"), np.load(tmp_path / "npy" / "1.npy"))
