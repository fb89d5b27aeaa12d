"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from filelock import FileLock

from fcn_deploy.card import ModelCard
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export import export as export_module
from fcn_deploy.onnx_export import trace as trace_module
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.system.process import usable_cores
from tests.support.bench_model import save_small_model
from tests.support.shared_traces import share_traces

# A copy of CamVid (SegNet's 11 classes): train.txt, val.txt, classes.txt and the folders they name.
CAMVID = Path(os.environ.get("FCN_DEPLOY_CAMVID", Path(__file__).parents[2] / "shared" / "data" / "camvid"))


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: a worker for each core that this process may use."""
    return usable_cores()


def pytest_collection_finish() -> None:
    """Leave what the imports made out of `gc.collect()`, which took half a second in each of the tests that call it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put back the signal handlers that the command line takes for its process, where a test is that process."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


class Ended(NamedTuple):
    """What a shell sees of a command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `fcn-deploy ARGUMENTS` as a shell does, with its errors and exit code, but in this process."""
    from fcn_deploy.cli.main import main

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["fcn-deploy", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return the file of a name, made by the first test of a run that asks, in whichever worker; no test changes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"

    def file(name: str, make: Callable[[Path], object]) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{path.stem}.lock"):
            if not path.exists():
                make(path)
        return path

    return file


@pytest.fixture(scope="session", autouse=True)
def shared_traces(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Iterator[None]:
    """Run PyTorch's exporter once for each structure of a network, in whichever worker asks first."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (trace_module, export_module):
            patch.setattr(module, "trace", share_traces(made_once))
        yield


@pytest.fixture(scope="session")
def demo_onnx(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The bundled model, exported as `fcn-deploy export demo` does."""
    return made_once("demo.onnx", lambda path: export_model(*load_network("demo"), path))


@pytest.fixture(scope="session")
def small_checkpoint(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A network with labels of each of the generated scenes' classes."""
    return made_once("small/small.safetensors", save_small_model)


@pytest.fixture(scope="session")
def small_onnx(made_once: Callable[[str, Callable[[Path], object]], Path], small_checkpoint: Path) -> Path:
    """The small checkpoint, exported next to it; nothing else is in the folder."""
    return made_once("small/small.onnx", lambda path: export_model(*load_network(small_checkpoint), path))


@pytest.fixture(scope="session")
def tiny_onnx(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[..., Path]:
    """Return an exported `tiny_model`, with labels alone."""

    def exported(name: str, **options: str) -> Path:
        stem = "-".join([name, *options.values()])
        return made_once(
            f"{stem}.onnx", lambda path: export_model(*tiny_model(name, **options), path, shapes=((2, 33, 47),))
        )

    return exported


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The CamVid folder; skips where the data is not at hand."""
    if not CAMVID.is_dir():
        pytest.skip(f"CamVid is not at {CAMVID}; FCN_DEPLOY_CAMVID names its folder")
    return CAMVID


def tiny_model(
    name: str = "fcn8s", *, classes: int = 5, seed: int = 0, **options: object
) -> tuple[torch.nn.Module, ModelCard]:
    """A network of a few thousand weights whose every layer matters: skips and scores are not left at zero."""
    torch.manual_seed(seed)
    card = new_card(name, [f"c{index}" for index in range(classes)], **{"width": 0.05, **options})  # type: ignore[arg-type]
    model = build(card)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "score" in key and "up" not in key:
                parameter.normal_(std=0.3)
    return model, card
