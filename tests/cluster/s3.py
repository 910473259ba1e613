"""A server on loopback that speaks S3, for buckets that live as long as it does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

KEYS = {"access_key": "nobody", "secret_key": "nothing"}
BUCKET = "bucket"


@dataclass(frozen=True)
class Server:
    """A running server with one bucket.

    Attributes:
        url: of it.
    """

    url: str

    def options(self, prefix: str) -> tuple[str, ...]:
        """What Snakemake must be told to keep its files here, under a prefix of the test's own."""
        return (
            *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/{prefix}"),
            *("--storage-s3-endpoint-url", self.url),
        )

    def environment(self) -> dict[str, str]:
        """The keys, where Snakemake looks for them."""
        return {f"SNAKEMAKE_STORAGE_S3_{name.upper()}": value for name, value in KEYS.items()}

    def client(self) -> Any:
        """A connection."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEYS["access_key"],
            aws_secret_access_key=KEYS["secret_key"],
            config=Config(retries={"max_attempts": 1}),
        )

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What lies under a prefix, by the rest of its name."""
        client = self.client()
        found = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        names = [entry["Key"] for page in found for entry in page.get("Contents", [])]
        bodies = {name: client.get_object(Bucket=BUCKET, Key=name)["Body"] for name in names}
        return {name.removeprefix(f"{prefix}/"): body.read() for name, body in bodies.items()}


@contextmanager
def served() -> Iterator[Server]:
    """Start the server, and stop it afterwards."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
    )
    server = Server(f"http://127.0.0.1:{port}")
    try:
        end = time.monotonic() + 120
        while True:
            try:
                server.client().create_bucket(Bucket=BUCKET)
                break
            except EndpointConnectionError:
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()
