"""The Kubernetes profile, through Snakemake's command line, against a stand-in for the cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from workflow.pipeline import BIN, checkout
from workflow.slow import slow_study

from .pods import Kubernetes, Pod
from .s3 import Server

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed, which Snakemake asks what pods need"
)

SOURCE = "results/source_model/tiny/em/u16-a0/s0"
LOG = "logs/source_model/tiny/em/u16-a0/s0.log"
IMAGE = "registry.example.org/unlearnable:0.1.0"


@dataclass
class Run:
    """A study whose jobs are pods.

    Attributes:
        repo: the clone that Snakemake is called in.
        volume: what is mounted in every pod, for checkpoints.
        cluster: where the pods are.
        s3: where the files are.
    """

    repo: Path
    volume: Path
    cluster: Kubernetes
    s3: Server

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Call Snakemake with the profile, and with what is to be edited in it."""
        changes = {"KUBECONFIG": str(self.cluster.kubeconfig()), "UNLEARNABLE_CHECKPOINTS": str(self.volume)}
        return subprocess.Popen(
            [
                *(str(BIN / "snakemake"), "sources", "--profile", "profiles/kubernetes", "--configfile", "study.yaml"),
                *self.s3.options("pods"),
                *("--container-image", IMAGE, "--seconds-between-status-checks", "1"),
                *("--envvars", "UNLEARNABLE_CHECKPOINTS"),
                *("--kubernetes-persistent-volumes", f"checkpoints:{self.volume}", *arguments),
            ],
            cwd=self.repo,
            env=os.environ | self.s3.environment() | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def checkpoint(self) -> bool:
        """Whether a pod has saved its state."""
        return any(self.volume.rglob("model.checkpoint.pt"))


@pytest.fixture(scope="module")
def failed(images: Path, s3: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, int, str]]:
    """The study after a call in which the first pod failed at once; the exit status and the output of the call."""
    folder = tmp_path_factory.mktemp("kubernetes")
    repo, volume = checkout(folder / "repo"), folder / "volume"
    volume.mkdir()
    (repo / "study.yaml").write_text(yaml.safe_dump(slow_study(images)), encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=repo, check=True)
    with Kubernetes(folder / "cluster") as cluster:
        run = Run(repo, volume, cluster, s3)
        cluster.online = False
        process = run.start()
        printed = process.communicate(timeout=300)[0]
        cluster.online = True
        yield run, process.returncode, printed


@pytest.fixture(scope="module")
def done(failed: tuple[Run, int, str]) -> tuple[Run, list[Pod], str]:
    """The same call again, in which a node was lost after a checkpoint; its pods, and its output."""
    run = failed[0]
    before = len(run.cluster.pods)
    process = run.start()
    end = time.monotonic() + 400
    while not run.checkpoint():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    list(run.cluster.pods.values())[-1].lose()
    printed = process.communicate(timeout=400)[0]
    pods = list(run.cluster.pods.values())[before:]
    assert process.returncode == 0, printed + "".join(pod.log.read_text() for pod in pods)
    return run, pods, printed


def test_a_failed_pod_ends_in_a_status_that_is_not_0(failed: tuple[Run, int, str]) -> None:
    run, status, printed = failed
    assert status != 0, printed
    assert run.cluster.pods
    assert not any(name.startswith(SOURCE) for name in run.s3.objects("pods"))


def test_the_same_call_goes_on_and_a_lost_pod_is_tried_again(done: tuple[Run, list[Pod], str]) -> None:
    run, pods, printed = done
    assert len(pods) == 2
    assert "rule dataset" not in printed
    assert "Dataset tiny" not in printed  # done before the pod that failed, on the calling machine
    objects = run.s3.objects("pods")
    assert {f"{SOURCE}/{name}" for name in ("model.safetensors", "history.parquet", "metrics.json")} <= set(objects)
    assert not any("workflow-sources" in name for name in objects)


def test_a_pod_goes_on_from_the_volume(done: tuple[Run, list[Pod], str]) -> None:
    run, pods, _ = done
    first, second = (pod.log.read_text(encoding="utf-8") for pod in pods)
    assert "resuming from" not in first
    assert f"resuming from {run.volume}/" in second
    assert b"resuming from" in run.s3.objects("pods")[LOG]
    assert not run.checkpoint()


def test_a_job_asks_for_a_gpu_and_for_more_memory_when_it_is_tried_again(done: tuple[Run, list[Pod], str]) -> None:
    wanted = [pod.container["resources"] for pod in done[1]]
    for resources, memory in zip(wanted, ("16000M", "32000M"), strict=True):
        assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"
        assert resources["limits"]["memory"] == resources["requests"]["memory"] == memory
    for pod in done[1]:
        (toleration,) = pod.posted["spec"]["template"]["spec"]["tolerations"]
        assert toleration["key"] == "nvidia.com/gpu"


def test_a_pod_gets_image_storage_and_environment(done: tuple[Run, list[Pod], str]) -> None:
    run, pods, _ = done
    container, specification = pods[0].container, pods[0].posted["spec"]["template"]["spec"]
    assert container["image"] == IMAGE
    command = container["args"][-1]
    assert re.search("--default-storage-provider '?s3'? ", command)
    assert re.search("--default-storage-prefix '?s3://bucket/pods'? ", command)
    assert "nothing" not in str(pods[0].posted)  # a key of S3
    assert {variable["name"] for variable in container["env"]} >= {"UNLEARNABLE_CHECKPOINTS", *run.s3.environment()}
    assert {"name": "checkpoints", "mountPath": str(run.volume)} in container["volumeMounts"]
    assert {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "checkpoints"}} in specification["volumes"]


def test_nothing_is_left_on_the_cluster(done: tuple[Run, list[Pod], str]) -> None:
    deleted = {path.split("/")[-1] for method, path in done[0].cluster.requests if method == "DELETE"}
    assert set(done[0].cluster.secrets) <= deleted
    assert done[1][-1].posted["metadata"]["name"] in deleted
