"""What is not a plain file, a loop of links and names that are not UTF-8: one line, and no wait for a writer."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fcn_deploy.benchmark.record.file import read_record
from fcn_deploy.data.class_map import read_class_map
from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.engine.sidecar import read_description, read_plan
from fcn_deploy.errors import FcnDeployError, OutputError
from fcn_deploy.model_file import require_file
from fcn_deploy.quantization.calibration.cache import read_cache
from fcn_deploy.recipe import load_recipe
from fcn_deploy.system.files import atomic_path, check_name, check_writable, require_plain, resolved, write_text

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in the file system are POSIX's")

READERS = {
    "model": require_file,
    "recipe": load_recipe,
    "record": read_record,
    "sidecar": read_description,
    "engine": read_plan,
    "class map": read_class_map,
    "image": load_image,
    "label map": lambda path: load_label(path, {}),
}


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, Path]:
    """A pipe without a writer, a socket, and a link that leads to itself."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {"pipe": tmp_path / "pipe", "loop": tmp_path / "loop", "device": Path("/dev/zero")}


@pytest.mark.parametrize("kind", ["pipe", "loop", "device"])
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_what_is_no_plain_file_in_one_line(odd: dict[str, Path], reader: str, kind: str):
    with pytest.raises(FcnDeployError) as caught:
        READERS[reader](odd[kind])
    assert str(odd[kind]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "loop", "device"])
def test_a_calibration_cache_that_is_no_plain_file_is_not_ours(odd: dict[str, Path], kind: str):
    found = read_cache(odd[kind], None)
    assert kind == "loop" or not found.ours


@pytest.mark.parametrize("kind", ["pipe", "loop", "device"])
def test_nothing_is_written_over_it(odd: dict[str, Path], kind: str):
    for write in (check_writable, lambda path: write_text(path, "x")):
        with pytest.raises(OutputError, match="cannot write"):
            write(odd[kind])


def test_a_socket_is_no_plain_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 bytes
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s")
        with pytest.raises(OSError, match="expected a plain file"):
            require_plain(Path("s"))


def test_a_loop_of_links_is_resolved_without_an_error(odd: dict[str, Path]):
    assert resolved(odd["loop"]) == odd["loop"]


def test_a_name_that_is_not_utf_8_is_one_line(tmp_path: Path):
    path = tmp_path / "m\udcff.onnx"
    with pytest.raises(FcnDeployError, match="is not UTF-8"):
        check_name(path)
    with pytest.raises(FcnDeployError, match="is not UTF-8"):
        require_file(path)
    with pytest.raises(FcnDeployError, match="is not UTF-8"), atomic_path(path):
        pass
    assert list(tmp_path.iterdir()) == []
