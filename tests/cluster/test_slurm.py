"""A study on a real Slurm: what disturbs its jobs costs time, and neither work nor a single byte of the results."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow.pipeline import BIN, Config, Project, dataset, laid_over

from .slurm import GPUS, HINT, Job, Slurm, missing

FOLDER = "results/source_model/tiny/em/u16-a0"
STAND_INS = [f"stand-in-{gpu}" for gpu in range(GPUS)]  # the names of the devices that jobs lease
CHAIN, REQUEUED, SHORT_OF_MEMORY, SHORT_OF_TIME, ONE_MORE = range(5)  # seeds, and what happens to their source models
PENDING, RUNNING, COMPLETED = "PENDING", "RUNNING", "COMPLETED"


def small_study(images: Path) -> Config:
    """One noise, from its source model to the table; source models of more seeds can be asked for."""
    return {
        "run": ["small"],
        "runtime": {"device": "auto", "checkpoint_seconds": 1},
        "datasets": {"tiny": dataset(images)},
        "methods": {"em": {"by_dataset": {"tiny": {"k_u": 2}}}},
        "source_model": {
            "by_dataset": {"tiny": {"network": "small-cnn", "batch_size": 16, "history_every": 50, "steps": 300}}
        },
        "noise": {"by_dataset": {"tiny": {"batch_size": 16}}},
        "perturbed": {"rows_per_parquet": 40, "rows_per_shard": 50},
        "victim": {
            "by_dataset": {
                "tiny": {"steps": 6, "batch_size": 16, "evaluate_every": 3, "robust_steps": 1, "robust_images": 10}
            }
        },
        "experiments": {
            "small": {
                "datasets": ["tiny"],
                "noises": [{"method": "em", "rho_u": [16]}],
                "victims": {"networks": ["small-cnn"], "radii": [0]},
                "seeds": [CHAIN],
                "products": ["accuracy-table"],
            }
        },
    }


def edited_profile(repo: Path, folder: Path) -> Path:
    """The shipped profile as edited for this cluster, whose jobs of some seeds are given too little."""
    profile: dict[str, Any] = yaml.safe_load((repo / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    source = profile["set-resources"]["source_model"]
    source["constraint"] = "fake"
    # torch alone takes more than 500 MB with the two Snakemake processes around it, and all of them less than 2,000
    source["mem_mb"] = f"500 * attempt**2 if wildcards.seed == '{SHORT_OF_MEMORY}' else {source['mem_mb']}"
    source["runtime"] = f"attempt if wildcards.seed == '{SHORT_OF_TIME}' else {source['runtime']}"
    profile |= {"slurm-init-seconds-before-status-checks": 2, "latency-wait": 10}
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    return folder


def source_model(seed: int) -> str:
    return f"{FOLDER}/s{seed}/model.safetensors"


def rule_of(job: Job) -> str:
    return job.name.partition("_wildcards_")[0]


@dataclass
class Run:
    """A study that Snakemake runs on Slurm, watched.

    Attributes:
        alone: the same study, run without Slurm.
        seen: the jobs as they were at many moments.
        visible: by the devices that Slurm gave to a job, the CUDA_VISIBLE_DEVICES that its script was started with.
        suspended: by seed, the processes of the trainings that were suspended.
        drained: the jobs as they were when the drained node had long had a device free.
    """

    slurm: Slurm
    project: Project
    snakemake: subprocess.Popen[str]
    alone: Project
    seen: list[list[Job]] = field(default_factory=list)
    visible: dict[tuple[int, ...], set[str]] = field(default_factory=lambda: defaultdict(set))
    suspended: dict[int, int] = field(default_factory=dict)
    drained: list[Job] = field(default_factory=list)
    printed: str = ""

    def look(self) -> list[Job]:
        """Note what is to be seen now."""
        jobs = self.slurm.jobs()
        self.seen.append(jobs)
        running = {str(job.number): job.gpus for job in jobs if job.state == RUNNING}
        for _, environment in self.scripts():
            if (number := environment["SLURM_JOB_ID"]) in running:
                self.visible[running[number]].add(environment.get("CUDA_VISIBLE_DEVICES", ""))
        for seed in (REQUEUED, SHORT_OF_TIME):
            self.suspend_in_the_midst(seed)
        return jobs

    def scripts(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The processes that run scripts of this study in jobs of Slurm's, with the environment they began with."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
                here = (folder / "cwd").resolve() == self.project.work
                lines = (folder / "environ").read_bytes().decode().split("\0")
            except OSError:
                continue
            environment = dict(line.split("=", 1) for line in lines if "=" in line)
            if here and len(arguments) > 1 and b".snakemake/scripts/" in arguments[1] and "SLURM_JOB_ID" in environment:
                yield int(folder.name), environment

    def until(self, happened: Callable[[list[Job]], bool], seconds: float = 120) -> None:
        """Look on until something is to be seen."""
        end = time.monotonic() + seconds
        while not happened(self.look()):
            if self.snakemake.poll() is not None or time.monotonic() > end:
                os.killpg(self.snakemake.pid, signal.SIGKILL)  # so that what it printed ends
                pytest.fail(f"{self.seen[-1]}\n{self.snakemake.communicate()[0]}")
            time.sleep(0.1)

    def suspend_in_the_midst(self, seed: int) -> None:
        """Suspend the training of a source model once it has written a checkpoint."""
        if seed in self.suspended or not (self.project.work / FOLDER / f"s{seed}/model.checkpoint.pt").exists():
            return
        (job,) = of(self.seen[-1], seed)
        (self.suspended[seed],) = (pid for pid, env in self.scripts() if env["SLURM_JOB_ID"] == str(job.number))
        os.kill(self.suspended[seed], signal.SIGSTOP)

    def read_slurm_log(self, job: Job) -> str:
        """What a job that failed printed."""
        return next(self.project.work.glob(f".snakemake/slurm_logs/*/*/{job.number}.log")).read_text()


def of(jobs: list[Job], seed: int) -> list[Job]:
    """The jobs of the source model of a seed, in the order of their submission."""
    return [job for job in jobs if job.name == f"source_model_wildcards_tiny_em_16_0_{seed}"]


def states(jobs: list[Job], seed: int) -> list[str]:
    return [job.state for job in of(jobs, seed)]


@pytest.fixture(scope="module")
def disturbed(slurm: Slurm, repo: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The study on Slurm, with all that happens to it, and beside it on this machine alone."""
    folder = tmp_path_factory.mktemp("disturbed")
    project = Project.new(repo, folder / "study", small_study(images))
    profile = edited_profile(repo, folder / "profile")
    slurm.drain(True)
    seeds = (REQUEUED, SHORT_OF_MEMORY, SHORT_OF_TIME, ONE_MORE)
    stand_ins = {"UNLEARNABLE_GPUS": ",".join(STAND_INS), "UNLEARNABLE_LEASES": str(folder / "leases")}
    snakemake = subprocess.Popen(
        [
            *(str(BIN / "snakemake"), "all", *map(source_model, seeds)),
            *("-s", str(repo / "Snakefile"), "-d", str(project.work), "--configfile", str(project.study)),
            *("--profile", str(profile)),
        ],
        env=slurm.environment | stand_ins,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    on_the_cpu = {"runtime": {"device": "cpu"}}
    alone = Project.new(repo, folder / "alone", laid_over(project.config, on_the_cpu))
    run = Run(slurm, project, snakemake, alone)
    try:
        disturb(run)
        run.printed = snakemake.communicate(timeout=120)[0]
        run.look()
        yield run
    finally:
        if snakemake.poll() is None:
            os.killpg(snakemake.pid, signal.SIGKILL)


def disturb(run: Run) -> None:
    """Requeue one training, let the time of another run out, and drain the node for a while."""
    # Of five jobs for four devices it must not be chance, or Snakemake's order of submission, which one has to wait.
    run.until(lambda jobs: len(jobs) == GPUS + 1)
    waiting = str(of(run.seen[-1], ONE_MORE)[0].number)
    run.slurm.tell("scontrol", "hold", waiting)
    run.slurm.drain(False)
    run.until(lambda jobs: sum(job.state == RUNNING for job in jobs) == GPUS)
    run.slurm.tell("scontrol", "release", waiting)
    run.until(lambda _: len(run.suspended) == 2)
    since = time.monotonic()
    run.slurm.drain(True)
    run.slurm.tell("scontrol", "requeue", str(of(run.seen[-1], REQUEUED)[0].number))
    run.until(lambda jobs: PENDING in states(jobs, REQUEUED) and states(jobs, CHAIN) == [COMPLETED])
    for _ in range(10):  # several rounds of the scheduler
        run.until(lambda _: True)
        time.sleep(0.3)
    run.drained = run.look()
    run.slurm.drain(False)
    alone = run.alone.start("all", *map(source_model, (REQUEUED, SHORT_OF_TIME)))
    run.until(lambda _: time.monotonic() > since + 55)
    os.kill(run.suspended[SHORT_OF_TIME], signal.SIGCONT)
    run.until(lambda jobs: states(jobs, SHORT_OF_TIME)[1:] == [COMPLETED])
    run.until(lambda jobs: any(rule_of(job) == "table" and job.state == COMPLETED for job in jobs))
    printed = alone.communicate(timeout=200)[0]
    assert alone.returncode == 0, printed


def last_log(run: Run, seed: int) -> str:
    return run.project.read(f"logs/source_model/tiny/em/u16-a0/s{seed}.log")


def test_the_study_goes_through_with_the_results_of_a_run_without_slurm(disturbed: Run) -> None:
    assert disturbed.snakemake.returncode == 0, disturbed.printed
    stages = [f"results/{stage}" for stage in ("noise", "perturbed", "victim", "tables")]
    expected, found = disturbed.alone.bytes_below(*stages), disturbed.project.bytes_below(*stages)
    assert set(found) == set(expected)
    timed = "results/noise/tiny/em/u16-a0/s0/shards/0-of-1.json"
    assert [path for path in expected if found[path] != expected[path] and path != timed] == []
    jobs = {rule_of(job) for job in disturbed.seen[-1]}
    assert jobs == {"source_model", "noise", "merge_noise", "perturbed_dataset", "victim", "table"}


def test_each_job_asks_for_what_the_profile_says(disturbed: Run) -> None:
    (job,) = of(disturbed.seen[-1], CHAIN)
    assert job.memory == 16000
    memory = {rule_of(job): job.memory for job in disturbed.seen[-1]}
    assert (memory["perturbed_dataset"], memory["table"]) == (8000, 4000)


def test_each_job_sees_the_device_that_is_its_own(disturbed: Run) -> None:
    holders = [[job for job in jobs if job.state == RUNNING and job.gpus] for jobs in disturbed.seen]
    assert max(map(len, holders)) == GPUS
    for held in holders:
        devices = [gpu for job in held for gpu in job.gpus]
        assert len(devices) == len(set(devices)) == len(held)
    on_the_cpu = {(): {""}} if () in disturbed.visible else {}
    assert disturbed.visible == {(gpu,): {str(gpu)} for gpu in range(GPUS)} | on_the_cpu


def test_each_job_leases_the_device_that_slurm_gave_it(disturbed: Run) -> None:
    (job,) = of(disturbed.seen[-1], CHAIN)
    (gpus,) = {seen.gpus for jobs in disturbed.seen for seen in jobs if seen.number == job.number and seen.gpus}
    assert f"leased GPU {STAND_INS[gpus[0]]}" in last_log(disturbed, CHAIN)


@pytest.mark.parametrize("seed", [REQUEUED, SHORT_OF_TIME])
def test_the_disturbed_source_models_have_the_bytes_of_undisturbed_ones(disturbed: Run, seed: int) -> None:
    folder = f"{FOLDER}/s{seed}"
    assert source_model(seed) in disturbed.alone.bytes_below(folder)
    assert disturbed.project.bytes_below(folder) == disturbed.alone.bytes_below(folder)


def test_a_requeued_job_goes_on_from_its_checkpoint(disturbed: Run) -> None:
    (job,) = of(disturbed.seen[-1], REQUEUED)
    assert (job.state, job.restarts) == (COMPLETED, 1)
    assert f"resuming from {FOLDER}/s{REQUEUED}/model.checkpoint.pt" in last_log(disturbed, REQUEUED)


def test_a_job_stops_itself_when_its_time_is_up_and_its_retry_goes_on(disturbed: Run) -> None:
    first, second = of(disturbed.seen[-1], SHORT_OF_TIME)
    assert (first.state, second.state) == ("FAILED", COMPLETED)
    assert "STOPPED rule source_model: the job's time is up: state saved" in disturbed.read_slurm_log(first)
    assert f"resuming from {FOLDER}/s{SHORT_OF_TIME}/model.checkpoint.pt" in last_log(disturbed, SHORT_OF_TIME)


def test_a_job_out_of_memory_comes_back_with_more(disturbed: Run) -> None:
    first, second = of(disturbed.seen[-1], SHORT_OF_MEMORY)
    assert (first.memory, second.memory) == (500, 2000)
    assert first.state not in (RUNNING, COMPLETED)
    assert "memory" in disturbed.read_slurm_log(first)
    assert second.state == COMPLETED


def test_a_drained_node_delays_and_loses_nothing(disturbed: Run) -> None:
    waiting = [job.number for job in disturbed.drained if job.state == PENDING]
    assert of(disturbed.drained, REQUEUED)[0].number in waiting
    assert sum(job.state == RUNNING for job in disturbed.drained) < GPUS  # there was room
    ends = {job.number: job.state for job in disturbed.seen[-1]}
    given_too_little = {job.number for seed in (SHORT_OF_MEMORY, SHORT_OF_TIME) for job in of(disturbed.drained, seed)}
    assert {ends[number] for number in waiting if number not in given_too_little} == {COMPLETED}


@pytest.mark.skipif(bool(missing()), reason=f"{', '.join(missing())} {HINT}")
def test_nothing_is_left_of_a_cluster_that_was_stopped(tmp_path: Path) -> None:
    cluster = Slurm(tmp_path / "slurm")
    try:
        cluster.start()
        for command in ("sleep 600", "setsid sleep 600 & exec sleep 600"):
            cluster.tell("sbatch", "--mem=100", "--output", str(tmp_path / "printed"), "--wrap", command)
        end = time.monotonic() + 60
        while sum(job.state == RUNNING for job in cluster.jobs()) < 2:
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        cluster.stop()
    assert cluster.processes() == []
