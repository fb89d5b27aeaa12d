"""A repository of `package --triton` in a real Triton Inference Server, asked over HTTP.

Needs `tritonserver`: NVIDIA's container has it on its PATH, and `pip install --no-deps nvidia-pytriton` brings one
inside its package, without an ONNX Runtime backend. Where that is missing a backend in Python stands in for it;
configuration, warm-up and batching are the server's own either way.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.packaging.triton import package
from fcn_deploy.packaging.triton_config import TritonOptions
from tests.conftest import tiny_model

TYPES = {"UINT8": np.uint8, "INT32": np.int32, "FP32": np.float32}


def installed() -> Path | None:
    """The folder that holds bin/tritonserver and backends/."""
    found = importlib.util.find_spec("pytriton")
    places = (
        [Path(place, "tritonserver") for place in (found.submodule_search_locations or []) if found] if found else []
    )
    command = shutil.which("tritonserver")
    places += [Path(command).resolve().parents[1]] if command else []
    return next((place for place in places if (place / "bin" / "tritonserver").is_file()), None)


pytestmark = pytest.mark.skipif(
    installed() is None, reason="tritonserver is not installed (pip install --no-deps nvidia-pytriton)"
)


def backends(home: Path, folder: Path) -> Path:
    """The server's backends, with one for ONNX Runtime in any case."""
    if (home / "backends" / "onnxruntime").is_dir():
        return home / "backends"
    stub = home / "python_backend_stubs" / "{}.{}".format(*sys.version_info) / "triton_python_backend_stub"
    if not stub.is_file() and not (home / "backends" / "python" / stub.name).is_file():
        pytest.skip("tritonserver has neither a backend for ONNX Runtime nor a Python backend for this Python")
    shutil.copytree(home / "backends" / "python", folder / "python")
    if stub.is_file():
        shutil.copyfile(stub, folder / "python" / stub.name)
        (folder / "python" / stub.name).chmod(0o755)
    shutil.copytree(Path(__file__).with_name("triton_backend"), folder / "onnxruntime")
    return folder


class Server:
    """A running server and its HTTP interface."""

    def __init__(self, home: Path, repository: Path, backend_folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (home / "bin" / "tritonserver").chmod(0o755)  # wheels lose it
        libraries = home.parents[1] / "nvidia_pytriton.libs"
        self.process = subprocess.Popen(
            [
                home / "bin" / "tritonserver", f"--model-repository={repository}",
                f"--backend-directory={backend_folder}", "--http-address=127.0.0.1", f"--http-port={self.port}",
                "--allow-grpc=false", "--allow-metrics=false", "--disable-auto-complete-config",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            # The Python inside the backend's stub takes its packages from the first `python3` on PATH.
            env=os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
            | ({"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {}),
        )  # fmt: skip

    def wait(self) -> None:
        """Until all models are loaded and warm."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.get("health/ready")
                return
            except OSError:
                time.sleep(0.1)
        self.process.kill()
        pytest.fail("tritonserver did not get ready:\n" + "\n".join(self.process.communicate()[0].splitlines()[-30:]))

    def get(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[bytes, int]:
        """The answer, and the length of its JSON part."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v2/{path}", data, headers or {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
            return body, int(answer.headers.get("Inference-Header-Content-Length") or len(body))

    def infer(self, model: str, images: np.ndarray, *names: str) -> list[np.ndarray]:
        """The outputs `names` of uint8[N, H, W, 3]."""
        inputs = {"name": "image", "shape": images.shape, "datatype": "UINT8"}
        inputs["parameters"] = {"binary_data_size": images.nbytes}
        outputs = [{"name": name, "parameters": {"binary_data": True}} for name in names]
        head = json.dumps({"inputs": [inputs], "outputs": outputs}).encode()
        length = {"Inference-Header-Content-Length": str(len(head))}
        body, at = self.get(f"models/{model}/infer", head + images.tobytes(), length)
        given = []
        for output in json.loads(body[:at])["outputs"]:
            end = at + output["parameters"]["binary_data_size"]
            given.append(np.frombuffer(body[at:end], TYPES[output["datatype"]]).reshape(output["shape"]))
            at = end
        return given

    def executions(self, model: str) -> tuple[int, int]:
        """(images, inferences) so far."""
        stats: dict[str, Any] = json.loads(self.get(f"models/{model}/stats")[0])["model_stats"][0]
        return stats["inference_count"], stats["execution_count"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "fcn.onnx"
    export_model(*tiny_model("fcn8s", head="pool5"), path, outputs=("labels", "logits"), shapes=((1, 33, 47),))
    return path


@pytest.fixture(scope="module")
def server(source: Path, tmp_path_factory: pytest.TempPathFactory):
    home = installed()
    assert home is not None
    folder = tmp_path_factory.mktemp("triton")
    options = TritonOptions(max_batch=6, gpu=False, queue_delay_us=300_000, warmup=((34, 46), (64, 96)))
    package(source, folder / "models", options)
    running = Server(home, folder / "models", backends(home, folder / "backends"))
    try:
        running.wait()
        yield running
    finally:
        running.process.terminate()
        running.process.communicate(timeout=60)


def images(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 33, 47), (3, 64, 31), (6, 17, 90), (1, 1, 1)])
def test_the_server_gives_the_files_own_labels_and_logits(server: Server, source: Path, shape: tuple[int, int, int]):
    given = images(*shape)
    labels, logits = server.infer("fcn", given, "labels", "logits")
    expected = open_cpu_session(source, threads=1).run(["labels", "logits"], {"image": given})
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, expected[0])
    np.testing.assert_allclose(logits, expected[1], rtol=0, atol=1e-5 * float(np.abs(expected[1]).max()))


def test_requests_of_one_size_are_put_together_and_of_others_are_not(server: Server, source: Path):
    given = [images(1, *((33, 47) if index < 4 else (48, 40)), index) for index in range(6)]
    before = server.executions("fcn")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda image: server.infer("fcn", image, "labels")[0], given))
    images_run, inferences = (after - earlier for after, earlier in zip(server.executions("fcn"), before, strict=True))
    assert images_run == 6
    assert 2 <= inferences < 6
    session = open_cpu_session(source, threads=1)
    for image, labels in zip(given, answers, strict=True):
        assert np.array_equal(labels, session.run(["labels"], {"image": image})[0])


@pytest.mark.parametrize(
    ("shape", "said"), [((7, 8, 8, 3), "must be <= 6"), ((1, 8, 8, 4), r"Expected \[-1,-1,-1,3\]")]
)
def test_what_the_contract_does_not_hold_is_refused(server: Server, shape: tuple[int, ...], said: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.infer("fcn", np.zeros(shape, np.uint8), "labels")
    assert refused.match("400|500")
    with refused.value as answer:
        assert re.search(said, answer.read().decode())


def test_the_server_knows_the_names_of_the_classes(server: Server):
    config = json.loads(server.get("models/fcn/config")[0])
    assert config["output"][0]["label_filename"] == "labels.txt"
    assert config["max_batch_size"] == 6
    assert [warm["name"] for warm in config["model_warmup"]] == ["34x46", "64x96"]
