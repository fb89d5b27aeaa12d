"""A model repository holds what Triton's own schema asks for."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from fcn_deploy.engine.sidecar import BuiltFor, Sidecar, SidecarPort, sidecar_path
from fcn_deploy.errors import EngineError, GraphError, OutputError
from fcn_deploy.packaging import triton
from fcn_deploy.packaging.triton import package
from fcn_deploy.packaging.triton_config import TritonOptions
from fcn_deploy.system.exchange import exchange as exchange_folders
from fcn_deploy.vocabulary import Profile
from tests.support.small_fcn import CARD, write_fcn

PLAN = b"a plan of TensorRT, as long as a header"


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    """Triton's model_config.proto as its client package carries it, without the package's own imports."""
    found = importlib.util.find_spec("tritonclient")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("tritonclient, which carries Triton's schema, is not installed")
    path = Path(next(iter(found.submodule_search_locations))) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("triton_model_config", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.get(spec.name) or importlib.util.module_from_spec(spec)
    if spec.name not in sys.modules:
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return module


def read(schema: ModuleType, folder: Path):
    from google.protobuf import text_format

    return text_format.Parse((folder / "config.pbtxt").read_text(), schema.ModelConfig())


def write_engine(path: Path, **fields: object) -> Path:
    path.write_bytes(PLAN)
    sidecar = Sidecar(
        flavor="tensorrt",
        version="10.16.1",
        platform="linux x86_64",
        built_for=BuiltFor(("SM89",)),
        plan_sha256=hashlib.sha256(PLAN).hexdigest(),
        plan_bytes=len(PLAN),
        onnx_name="fcn8s.onnx",
        onnx_sha256="0" * 64,
        precision="fp16",
        inputs=(SidecarPort("image", "uint8", (-1, -1, -1, 3)),),
        outputs=(SidecarPort("labels", "uint8", (-1, -1, -1)),),
        profiles=(
            Profile((1, 64, 64), (1, 360, 480), (4, 512, 640)),
            Profile((1, 64, 64), (1, 720, 960), (2, 720, 960)),
        ),
        card=CARD,
    )
    sidecar_path(path).write_text(replace(sidecar, **fields).to_json())  # type: ignore[arg-type]
    return path


def test_an_onnx_file_is_served_with_the_uint8_contract(tmp_path: Path, schema: ModuleType) -> None:
    source = write_fcn(tmp_path / "road scenes.onnx")
    folder = package(
        source, tmp_path / "models", TritonOptions(name="fcn", max_batch=6, warmup=((34, 46), (64, 96)))
    ).folder
    config = read(schema, folder)
    assert (config.name, config.backend, config.max_batch_size) == ("fcn", "onnxruntime", 6)
    (image,) = config.input
    assert (image.name, schema.DataType.Name(image.data_type), list(image.dims)) == ("image", "TYPE_UINT8", [-1, -1, 3])
    labels, logits = config.output
    assert (labels.name, schema.DataType.Name(labels.data_type), list(labels.dims)) == (
        "labels",
        "TYPE_UINT8",
        [-1, -1],
    )
    assert (logits.name, schema.DataType.Name(logits.data_type), list(logits.dims)) == (
        "logits",
        "TYPE_FP32",
        [3, -1, -1],
    )
    assert (labels.label_filename, logits.label_filename) == ("labels.txt", "")
    assert (folder / "labels.txt").read_text().split() == ["road", "car", "sky"]
    assert [list(warm.inputs["image"].dims) for warm in config.model_warmup] == [[34, 46, 3], [64, 96, 3]]
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    assert (folder / "1" / config.default_model_filename).read_bytes() == source.read_bytes()


def test_an_engine_is_served_with_all_its_profiles(tmp_path: Path, schema: ModuleType) -> None:
    folder = package(
        write_engine(tmp_path / "fcn8s.engine"), tmp_path / "models", TritonOptions(version=7, instances=2)
    ).folder
    config = read(schema, folder)
    assert (config.backend, config.max_batch_size, config.default_model_filename) == ("tensorrt", 4, "model.plan")
    (group,) = config.instance_group
    assert (group.count, list(group.profile)) == (2, ["0", "1"])
    assert schema.ModelInstanceGroup.Kind.Name(group.kind) == "KIND_GPU"
    assert [list(warm.inputs["image"].dims) for warm in config.model_warmup] == [[360, 480, 3], [720, 960, 3]]
    assert (folder / "7" / "model.plan").read_bytes() == PLAN


def test_what_triton_does_not_load_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    with pytest.raises(EngineError, match="a plan of TensorRT for RTX, which Triton does not load"):
        package(write_engine(tmp_path / "a.engine", flavor="tensorrt_rtx"), models, TritonOptions())
    with pytest.raises(EngineError, match="describes another engine"):
        package(write_engine(tmp_path / "b.engine", plan_sha256="1" * 64), models, TritonOptions())
    with pytest.raises(EngineError, match="built for at most 4 images, not 5"):
        package(write_engine(tmp_path / "c.engine"), models, TritonOptions(max_batch=5))
    with pytest.raises(EngineError, match=r"no profile of the engine holds 32x32 \(--sizes\)"):
        package(write_engine(tmp_path / "d.engine"), models, TritonOptions(warmup=((32, 32),)))
    (tmp_path / "e.onnx").write_bytes(b"<html>")
    with pytest.raises(GraphError, match=r"e\.onnx cannot be read as ONNX"):
        package(tmp_path / "e.onnx", models, TritonOptions())
    with pytest.raises(OutputError, match="'a b' cannot be the name of a model"):
        package(write_fcn(tmp_path / "a b.onnx"), models, TritonOptions())
    assert not models.exists()


def test_a_model_that_is_there_is_replaced_on_request_alone(tmp_path: Path) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    first = package(source, models, TritonOptions()).folder
    with pytest.raises(OutputError, match=r"models/fcn is there already; give another --name, or --force"):
        package(source, models, TritonOptions(max_batch=2))
    assert "max_batch_size: 8" in (first / "config.pbtxt").read_text()
    package(source, models, TritonOptions(max_batch=2, force=True))
    assert "max_batch_size: 2" in (first / "config.pbtxt").read_text()
    assert [path.name for path in models.iterdir()] == ["fcn"]


def test_only_the_version_that_is_written_is_replaced(tmp_path: Path) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    folder = package(source, models, TritonOptions()).folder
    (folder / "1" / "old.txt").write_text("of version 1")
    (folder / "notes.md").write_text("mine")
    package(source, models, TritonOptions(version=2, max_batch=2, force=True))
    assert (folder / "1" / "old.txt").read_text() == "of version 1"
    package(source, models, TritonOptions(version=1, force=True))
    found = sorted(str(path.relative_to(models)) for path in models.rglob("*") if path.is_file())
    assert found == [
        "fcn/1/model.onnx", "fcn/2/model.onnx", "fcn/config.pbtxt", "fcn/labels.txt", "fcn/notes.md",
    ]  # fmt: skip
    assert "max_batch_size: 8" in (folder / "config.pbtxt").read_text()


@pytest.mark.parametrize("content", [None, "x = 1\n", ""])
def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path, content: str | None) -> None:
    source, folder = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "home" / "fcn"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("three years")
    if content is not None:
        (folder / "config.pbtxt").write_text(content)
    before = {path: path.read_text() for path in folder.iterdir()}
    with pytest.raises(OutputError, match=r"home/fcn is no model that Triton serves .* give another --name"):
        package(source, tmp_path / "home", TritonOptions(force=True))
    assert {path: path.read_text() for path in folder.iterdir()} == before
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["fcn"]


def test_a_file_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    models.mkdir()
    (models / "fcn").write_text("a file")
    with pytest.raises(OutputError, match="is no model that Triton serves"):
        package(source, models, TritonOptions(force=True))
    assert (models / "fcn").read_text() == "a file"


@pytest.mark.skipif(sys.platform != "linux", reason="the step is Linux's")
def test_a_model_is_replaced_in_one_step_with_all_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    folder = package(source, models, TritonOptions()).folder
    (folder / "notes.md").write_text("mine")
    before, exchanged = sorted(folder.iterdir()), list[list[Path]]()

    def exchange(new: Path, old: Path) -> bool:
        exchanged.append(sorted(old / path.name for path in new.iterdir()))
        assert sorted(old.iterdir()) == before
        return exchange_folders(new, old)

    monkeypatch.setattr(triton, "exchange", exchange)
    package(source, models, TritonOptions(version=2, force=True))
    assert exchanged == [sorted([*before, folder / "2"])]
    assert sorted(folder.iterdir()) == exchanged[0]
    assert (folder / "notes.md").read_text() == "mine"
    assert [path.name for path in models.iterdir()] == ["fcn"]


def test_a_model_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    package(source, models, TritonOptions()).folder.rename(tmp_path / "elsewhere")
    (models / "fcn").symlink_to(tmp_path / "elsewhere")
    package(source, models, TritonOptions(max_batch=2, force=True))
    assert (models / "fcn").is_symlink()
    assert "max_batch_size: 2" in (tmp_path / "elsewhere" / "config.pbtxt").read_text()


@pytest.mark.parametrize("missing", ["exchange", "_add_others"])
def test_a_file_system_without_exchange_or_links_takes_the_parts_in_turn(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    folder = package(source, models, TritonOptions()).folder
    (folder / "notes.md").write_text("mine")
    monkeypatch.setattr(triton, missing, lambda *paths: False)
    package(source, models, TritonOptions(max_batch=2, force=True))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "config.pbtxt", "labels.txt", "notes.md"]
    assert "max_batch_size: 2" in (folder / "config.pbtxt").read_text()


def test_a_version_that_cannot_be_moved_in_place_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    folder = package(source, models, TritonOptions()).folder
    (folder / "1" / "old.txt").write_text("here")
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self.name == "1" and self.parent != folder:
            raise OSError(errno.EACCES, "Permission denied", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    monkeypatch.setattr(triton, "exchange", lambda *paths: False)
    with pytest.raises(OutputError, match="permission denied"):
        package(source, models, TritonOptions(force=True))
    assert (folder / "1" / "old.txt").read_text() == "here"


def test_a_full_disk_leaves_the_model_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, models = write_fcn(tmp_path / "fcn.onnx"), tmp_path / "models"
    folder = package(source, models, TritonOptions()).folder

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="no space is left on the device"):
        package(source, models, TritonOptions(force=True))
    assert (folder / "1" / "model.onnx").read_bytes() == source.read_bytes()
    assert [path.name for path in models.iterdir()] == ["fcn"]


def test_external_data_travels_under_its_own_name(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(write_fcn(tmp_path / "whole.onnx"))
    onnx.save(model, tmp_path / "fcn.onnx", save_as_external_data=True, location="fcn.onnx.data", size_threshold=0)
    version = package(tmp_path / "fcn.onnx", tmp_path / "models", TritonOptions()).folder / "1"
    assert sorted(path.name for path in version.iterdir()) == ["fcn.onnx.data", "model.onnx"]
    onnx.load(version / "model.onnx")  # finds its data
