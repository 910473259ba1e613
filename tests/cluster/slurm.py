"""A Slurm of one node on loopback: real daemons in a folder of their own, four stand-ins for GPUs, no root needed."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
HINT = "not installed (Debian: apt-get install slurm-wlm munge)"
GPUS = 4
CPUS = 8  # as declared; that the machine has fewer only makes jobs slower
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # daemons are not on every user's PATH

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
JobRequeue=1
KillWait=5
OverTimeLimit=10
SchedulerParameters=batch_sched_delay=1,sched_interval=1,sched_min_interval=100000,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=256000 Gres=gpu:fake:{gpus} Feature=fake State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=UNLIMITED
PartitionName=gpu Nodes={host} MaxTime=UNLIMITED
"""


def missing() -> list[str]:
    """The daemons that this machine lacks."""
    return [name for name in DAEMONS if shutil.which(name, path=SYSTEM_PATH) is None]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass(frozen=True)
class Job:
    """A job as Slurm shows it.

    Attributes:
        number: Slurm's own.
        state: such as ``RUNNING``.
        name: the rule and the wildcards, as Snakemake's plugin notes them in the job's comment.
        gpus: the indices of the devices that it holds.
        memory: in MB, as asked for.
        restarts: how often Slurm started it again.
    """

    number: int
    state: str
    name: str
    gpus: tuple[int, ...]
    memory: int
    restarts: int


@dataclass
class Slurm:
    """The daemons, and the commands that talk to them.

    Attributes:
        folder: with everything they write.
    """

    folder: Path
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find this Slurm and no other one."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}{os.pathsep}{SYSTEM_PATH}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        return inherited | {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        host = socket.gethostname().partition(".")[0]
        for name in ("munge", "state", "spool", "devices", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o711)
        self._write("munge.key", secrets.token_hex(64), 0o400)
        for gpu in range(GPUS):  # slurmd wants a character device, and this is one that needs no root
            (self.folder / f"devices/nvidia{gpu}").symlink_to("/dev/zero")
        controller_port, node_port = free_ports(2)
        self._write(
            "slurm.conf",
            CONFIGURATION.format(
                folder=self.folder,
                host=host,
                user=getpass.getuser(),
                controller_port=controller_port,
                node_port=node_port,
                cpus=CPUS,
                gpus=GPUS,
            ),
        )
        devices = f"{self.folder}/devices/nvidia[0-{GPUS - 1}]"
        self._write("gres.conf", f"AutoDetect=off\nNodeName={host} Name=gpu Type=fake File={devices}\n")
        # A job step of Snakemake's starts srun without SLURM_CONF, which would then look for a cluster in /etc.
        srun = shutil.which("srun", path=SYSTEM_PATH)
        self._write("bin/srun", f'#!/bin/sh\nSLURM_CONF="{self.folder}/slurm.conf" exec {srun} "$@"\n', 0o755)

        munge = self.folder / "munge"
        self._daemon(
            *("munged", "--foreground", "--force", "--num-threads=2", f"--key-file={self.folder}/munge.key"),
            *(f"--socket={munge}/socket", f"--pid-file={munge}/pid", f"--log-file={munge}/log"),
            f"--seed-file={munge}/seed",
        )
        self._wait_until(lambda: (munge / "socket").exists(), "munged made no socket")
        self._daemon("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        self._daemon("slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", host)
        self._wait_until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "the node did not become idle")

    def stop(self) -> None:
        """Cancel the jobs and stop the daemons."""
        with suppress(AssertionError, OSError, subprocess.SubprocessError):  # a daemon that died runs no jobs
            self.ask("scancel", "--user", getpass.getuser())
            self._wait_until(lambda: not self.ask("squeue", "-h"), "jobs outlived their cancellation")
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        end = time.monotonic() + 20
        while left := self.processes():  # of jobs, which left their process groups
            assert time.monotonic() < end, left
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)

    def processes(self) -> list[int]:
        """The processes that were started in this Slurm's environment and are still there."""
        mine, found = str(self.folder / "bin").encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mine in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints; nothing where it fails, as it does while the controller starts."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout if done.returncode == 0 else ""

    def tell(self, *command: str) -> None:
        """Run a command of Slurm's that must not fail."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def jobs(self) -> list[Job]:
        """All jobs that Slurm knows, finished ones too."""
        found = []
        for record in self.ask("scontrol", "--detail", "--oneliner", "show", "job").splitlines():
            if not record.startswith("JobId="):
                continue  # it says that there are none
            fields = dict(re.findall(r"(\w+)=(\S*)", record))
            devices = re.search(r"GRES=gpu\S*\(IDX:([\d,-]+)\)", record)
            found.append(
                Job(
                    int(fields["JobId"]),
                    fields["JobState"],
                    fields.get("Comment", "").removeprefix("rule_"),
                    () if devices is None else indices(devices[1]),
                    megabytes(fields["MinMemoryNode"]),
                    int(fields["Restarts"]),
                )
            )
        return found

    def drain(self, on: bool) -> None:
        """Let the node take no new jobs, or take them again."""
        state = ("state=drain", "reason=test") if on else ("state=resume",)
        self.tell("scontrol", "update", "nodename=ALL", *state)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.write_text(text, encoding="ascii")
        path.chmod(mode)

    def _daemon(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=SYSTEM_PATH)
        assert program is not None
        with open(self.folder / f"{name}.out", "wb") as out:
            command = [program, *arguments]
            self._daemons.append(subprocess.Popen(command, env=self.environment, stdout=out, stderr=out))

    def _wait_until(self, ready: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + 60
        while not ready():
            logs = "\n".join(path.read_text(errors="replace")[-1000:] for path in self.folder.glob("*.out"))
            assert all(daemon.poll() is None for daemon in self._daemons), f"a daemon ended\n{logs}"
            assert time.monotonic() < end, f"{otherwise}\n{logs}"
            time.sleep(0.1)


def indices(text: str) -> tuple[int, ...]:
    """``0,2-3`` as numbers."""
    ranges = [part.partition("-") for part in text.split(",")]
    return tuple(number for low, _, high in ranges for number in range(int(low), int(high or low) + 1))


def megabytes(text: str) -> int:
    """``500M`` or ``1.5G`` as a number of MB."""
    return round(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])
