from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import pytest

from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.prediction.images.sources import find_sources
from tests.support.locked_folder import lock


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(*given: object, **options: object) -> list[str]:
    return [str(source.name) for source in find_sources([str(text) for text in given], **options)]


def test_a_folder_gives_its_images_and_those_below_in_the_order_of_names_without_hidden_ones(tmp_path):
    wanted = ["a.JPG", "b c.png", "ü/ß 1.tif", "z.jpg/1.bmp"]
    hidden = [".a.jpg", ".thumbs/a.jpg", "notes.txt", "clip.mp4"]
    touch(*(tmp_path / name for name in wanted + hidden))
    assert sorted(names(tmp_path)) == sorted(wanted)
    assert names(tmp_path)[:2] == ["a.JPG", "b c.png"]


def test_the_folder_of_the_results_is_no_source_and_may_not_be_the_folder_of_the_images(tmp_path):
    touch(tmp_path / "a.jpg", tmp_path / "masks" / "a.png")
    assert names(tmp_path, exclude=tmp_path / "masks") == ["a.jpg"]
    with pytest.raises(OutputError, match=r"would lie among the images of .*; choose another folder"):
        names(tmp_path, exclude=tmp_path / "masks" / "..")


def test_a_glob_names_its_files_by_the_path_below_what_it_fixes(tmp_path):
    touch(*(tmp_path / name for name in ("x/1/a.jpg", "x/2/b.jpg", "x/2/.c.jpg", "x/2/b.txt", "y/a.jpg")))
    assert names(tmp_path / "x" / "**" / "*.jpg") == ["1/a.jpg", "2/b.jpg"]
    assert names(tmp_path / "[xy]" / "*" / "b.*") == ["x/2/b.jpg"]
    with pytest.raises(DataError, match="matches no image"):
        names(tmp_path / "x" / "*.png")


def test_a_glob_above_the_folder_of_the_results_leaves_them_out(tmp_path):
    touch(
        *(
            tmp_path / name
            for name in ("a.jpg", "b/c.jpg", "masks/a.overlay.jpg", "masks/b/c.overlay.jpg", "masks2/d.jpg")
        )
    )
    assert names(tmp_path / "**" / "*.jpg", exclude=tmp_path / "b" / ".." / "masks") == [
        "a.jpg",
        "b/c.jpg",
        "masks2/d.jpg",
    ]
    assert names(tmp_path / "masks" / "*.jpg", exclude=tmp_path / "masks") == ["a.overlay.jpg"]


def test_a_file_whose_name_holds_wildcards_is_that_file(tmp_path):
    touch(tmp_path / "a[1].jpg", tmp_path / "a1.jpg")
    assert names(tmp_path / "a[1].jpg") == ["a[1].jpg"]


def test_a_list_keeps_sub_folders_and_drops_what_leads_elsewhere(tmp_path):
    touch(tmp_path / "lists" / "in" / "a.jpg", tmp_path / "out" / "b.jpg")
    text = f'in/a.jpg labels/a.png\n../out/b.jpg labels/b.png\n"{tmp_path}/out/b.jpg" labels/b.png\nin/none.jpg x.png\n'
    (tmp_path / "lists" / "val.txt").write_text(text)
    absolute = PurePosixPath(*tmp_path.parts[1:], "out", "b.jpg")
    assert names(tmp_path / "lists" / "val.txt") == ["in/a.jpg", "out/b.jpg", str(absolute), "in/none.jpg"]


@pytest.mark.parametrize("end", [b"\n", b"\0", b"\r\n"])
def test_standard_input_lists_paths_with_blanks_and_any_bytes(end):
    data = end.join([b"photos/a b.jpg", b"./c.jpg", b"\xff.jpg"]) + end
    assert names("-", stdin=io.BytesIO(data)) == ["photos/a b.jpg", "c.jpg", "\udcff.jpg"]


def test_what_is_no_source_is_distinguished(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.dat").write_bytes(bytes(range(200, 256)))
    (tmp_path / "locked").mkdir()
    for given, said in [
        (tmp_path / "none.jpg", "none.jpg does not exist"),
        (tmp_path / "empty", "holds no image files"),
        (tmp_path / "binary.dat", "is not a text file"),
        ("-", "standard input lists no images"),
    ]:
        with pytest.raises(DataError, match=said):
            names(given, stdin=io.BytesIO(b" \n"))
    lock(monkeypatch, tmp_path / "locked")
    with pytest.raises(DataError, match="permission denied"):
        names(tmp_path / "locked" / "a.jpg")
