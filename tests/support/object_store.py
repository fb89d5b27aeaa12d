"""An object store on this machine that speaks Amazon's S3 (by moto)."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yields the options of an address that reach it: f"s3://bucket/x?{options}"; "bucket" is there."""
    server_module = pytest.importorskip("moto.server", reason="moto is not installed (extra dev)")
    fs = pytest.importorskip("pyarrow.fs", reason="PyArrow is not installed (extra s3)")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host = f"127.0.0.1:{server.get_host_and_port()[1]}"
        urllib.request.urlopen(f"http://{host}/moto-api/reset", data=b"").close()  # what servers before it held
        options = f"endpoint_override={host}&scheme=http&region=us-east-1"
        system, _ = fs.FileSystem.from_uri(f"s3://bucket?{options}&allow_bucket_creation=true")
        system.create_dir("bucket")
        yield options
    finally:
        server.stop()
