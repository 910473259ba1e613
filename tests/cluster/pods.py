"""A stand-in for Kubernetes on loopback: its API as far as Snakemake asks, and pods that are processes of this machine.

A pod gets what a cluster would give it: an empty working directory, the environment that its specification names, and
the folders of its volumes, here under their own paths. The image is this machine's Python, and nothing is left for
``pip`` to install.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = dict[str, Any]


@dataclass
class Pod:
    """What was posted as a job, and the process that runs it."""

    posted: Json
    process: subprocess.Popen[bytes]
    log: Path
    gone: bool = False

    @property
    def container(self) -> Json:
        """The specification of its only container."""
        (container,) = self.posted["spec"]["template"]["spec"]["containers"]
        return dict(container)

    def lose(self) -> None:
        """End it as when its node is taken away: nothing of it is left, but the cluster knows that the job failed."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.gone = True

    def status(self) -> Json:
        """Of the job that it belongs to."""
        code = self.process.poll()
        return {"active": 1} if code is None else {"failed": 1} if code else {"succeeded": 1}

    def description(self) -> Json:
        """Of the pod, as a list of pods has it."""
        name, code = self.posted["metadata"]["name"], self.process.poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code if code >= 0 else 128 - code}}
        container = {"name": "snakemake", "image": self.container["image"], "imageID": "", "ready": code is None}
        return {
            "metadata": {"name": f"{name}-pod"},
            "status": {"containerStatuses": [container | {"restartCount": 0, "state": state}]},
        }


@dataclass
class Kubernetes:
    """The cluster.

    Attributes:
        folder: for the pods' working directories and logs.
        pods: by the name of their job, in the order of their posting.
        secrets: by name, decoded; what was deleted stays here.
        requests: method and path of every request.
        online: whether pods reach the index that ``pip`` asks.
    """

    folder: Path
    pods: dict[str, Pod] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    online: bool = True
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Kubernetes:
        programs = self.folder / "image"
        programs.mkdir(parents=True)
        for name, does in (("python", f'exec "{sys.executable}" "$@"'), ("pip", "exec $ONLINE")):
            (programs / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
            (programs / name).chmod(0o755)
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = cluster.answer(self.command, self.path, json.loads(body) if body else {})
                sent = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for pod in self.pods.values():
            if pod.process.poll() is None:
                pod.lose()

    def kubeconfig(self) -> Path:
        """A file that leads clients here."""
        path = self.folder / "kubeconfig"
        address = f"http://127.0.0.1:{self._server.server_port}"
        content = {
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"} | content), encoding="utf-8")
        return path

    def answer(self, method: str, address: str, body: Json) -> tuple[int, Json | str]:
        """What the API says to a request: status and content."""
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        parts = path.split("/")
        kind = next((part for part in ("secrets", "jobs", "pods") if part in parts), "")
        rest = parts[parts.index(kind) + 1 :] if kind else []
        with self._lock:
            self.requests.append((method, path))
            match method, kind, rest:
                case "POST", "secrets", []:
                    secret = {key: base64.b64decode(value).decode() for key, value in (body.get("data") or {}).items()}
                    self.secrets[body["metadata"]["name"]] = secret
                    return 201, body
                case "POST", "jobs", []:
                    self.pods[body["metadata"]["name"]] = self._started(body)
                    return 201, body
                case "GET", "jobs", [name, "status"] if name in self.pods:
                    return 200, self.pods[name].posted | {"status": self.pods[name].status()}
                case "GET", "pods", []:
                    name = query["labelSelector"][0].removeprefix("job-name=")
                    return 200, {"items": [] if self.pods[name].gone else [self.pods[name].description()]}
                case "GET", "pods", [name, "log"] if query.get("previous") == ["True"]:  # no container starts twice
                    return 400, {"message": f'previous terminated container "snakemake" in pod "{name}" not found'}
                case "GET", "pods", [name, "log"]:
                    return 200, self.pods[name.removesuffix("-pod")].log.read_text(encoding="utf-8")
                case "DELETE", _, [_]:
                    return 200, {}
        return 404, {"message": f"{method} {path}: not known here"}

    def _started(self, posted: Json) -> Pod:
        name = posted["metadata"]["name"]
        specification = posted["spec"]["template"]["spec"]
        (container,) = specification["containers"]
        work, log = self.folder / name, self.folder / f"{name}.log"
        work.mkdir()
        environment = {"PATH": f"{self.folder / 'image'}:/usr/bin:/bin", "HOME": str(work), "OMP_NUM_THREADS": "1"}
        environment["ONLINE"] = str(self.online).lower()  # a command
        for variable in container.get("env") or []:
            secret = variable["valueFrom"]["secretKeyRef"]
            environment[variable["name"]] = self.secrets[secret["name"]][secret["key"]]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=work,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Pod(posted, process, log)
