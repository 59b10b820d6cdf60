"""An object store on this machine: a moto server, filled and looked into without requests."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from moto import backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

REGION = "us-east-1"


class ObjectStore:
    """A server that runs, and the environment of who uses it.

    Parameters
    ----------
    address : str
        Where it listens.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._backend: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def create(self, bucket: str) -> None:
        """Make an empty bucket."""
        self._backend.create_bucket(bucket, REGION)

    def put(self, bucket: str, contents: dict[str, bytes]) -> None:
        """Put contents by key where the server has them, without ten thousand requests."""
        for key, content in contents.items():
            self._backend.put_object(bucket, key, content)

    def put_folder(self, bucket: str, folder: Path, prefix: str) -> None:
        """Put every file of a folder under a prefix."""
        files = (path for path in folder.rglob("*") if path.is_file())
        self.put(bucket, {f"{prefix}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files})

    def keys(self, bucket: str) -> list[str]:
        """Return a bucket's keys; markers of empty folders, which end in a slash, are none."""
        return [key for key in list(self._backend.buckets[bucket].keys) if not key.endswith("/")]

    def get(self, bucket: str, key: str) -> bytes:
        """Return an object's content."""
        return bytes(self._backend.get_object(bucket, key).value)

    def contents(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return the contents under a prefix, by what follows it in their keys."""
        found = (key for key in self.keys(bucket) if key.startswith(prefix))
        return {key.removeprefix(prefix): self.get(bucket, key) for key in found}

    def environment(self) -> dict[str, str]:
        """Return what makes Amazon's clients, and ours, use the server."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ENDPOINT_URL_S3": self.address,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def served_store() -> Iterator[ObjectStore]:
    """Serve a store on a free port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Each request has it list moto's modules anew, which takes as long as the answer.
    modules = tuple(backends.list_of_moto_modules())
    with patch.object(backends, "list_of_moto_modules", functools.partial(iter, modules)):
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        try:
            yield ObjectStore(f"http://{host}:{port}")
        finally:
            server.stop()
