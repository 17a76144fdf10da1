"""Puts wrk's load on several Envoys and accounts the CPU of each: in short turns, one after another, or at once.

A busy machine changes its speed from one second to the next by more than what is measured, so whatever is compared is
measured as close together as the load allows.
"""

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from chains import UPSTREAM_SECONDS
from envoy import Envoy, Failed, cores, on_cores

SCRIPT = Path(__file__).resolve().parent / "load.lua"
SLICE_SECONDS = 0.1
CONNECTIONS_PER_WORKER = 16
SLOW_CONNECTIONS = 200  # with 100 ms for each request: 2,000 requests/s, about half of what one core bears
WAITING = 3_000
WAITING_SECONDS = 5.0  # Envoy flushes its statistics every 5 s: each window has one flush
FILES_AT_MOST = 65_536
FILES_NEEDED = 2 * WAITING + 500


@dataclass
class Run:
    """What one chain did in one round."""

    requests: int
    cpu: float  # of the Envoy process, in the unit of the load: us for each request completed, or percent of a core
    refused: int  # answers with a status of 400 or more
    wraps: float  # how many times the list of requests was gone through


class Wrk:
    """One wrk under way. `spread` is the time in seconds over which its connections send their first requests."""

    def __init__(self, envoy: Envoy, requests: Path, connections: int, workers=1, spread=0.0):
        self.envoy = envoy
        command = ["wrk", "-t1", f"-c{connections}", "-d3600s", "--timeout", "10s"]
        command += ["-s", str(SCRIPT), f"http://127.0.0.1:{envoy.port}/", "--", str(requests)]
        if spread:
            command += [str(connections), str(round(spread * 1000))]
        self.cpu_before = envoy.cpu_seconds()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=on_cores(cores(workers)[1]),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def until(self, begun, seconds: float, what: str):
        """Waits until `begun()` is true."""
        deadline = time.monotonic() + seconds
        while not begun():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"wrk against `{self.envoy.name}`: not {what} within {seconds:g} s")
            time.sleep(0.002)

    def first_turn(self):
        """Until the first answers: the list of requests has been read and the connections are open."""
        self.until(lambda: self.envoy.cpu_seconds() - self.cpu_before >= 0.005, 60, "under way")
        self.process.send_signal(signal.SIGSTOP)

    def turn(self, seconds: float):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGSTOP)

    def finish(self) -> Run:
        self.process.send_signal(signal.SIGCONT)
        output = self._interrupt().decode(errors="replace")
        spent = self.envoy.cpu_seconds() - self.cpu_before
        last = output.strip().splitlines()[-1:]
        if self.process.returncode != 0 or not last or not last[0].startswith("{"):
            raise Failed(f"wrk failed against `{self.envoy.name}`: {output[-400:]}")
        said = json.loads(last[0])
        if said["requests"] == 0 or said["socket_errors"] > 0:
            raise Failed(f"`{self.envoy.name}` broke connections or answered nothing: {last[0]}")
        return Run(said["requests"], spent * 1e6 / said["requests"], said["refused"], said["wraps"])

    def _interrupt(self) -> bytes:
        """Ends wrk's run, which makes it report. Only its main thread can hear of it, so ask until it has."""
        for _ in range(50):
            time.sleep(0.002)
            self.process.send_signal(signal.SIGINT)
            try:
                return self.process.communicate(timeout=0.5)[0]
            except subprocess.TimeoutExpired:
                continue
        raise Failed(f"wrk against `{self.envoy.name}` does not end")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def in_turns(envoys: list[Envoy], requests: list[Path], seconds: float, workers: int = 1) -> list[Run]:
    """Each of `envoys` under its own list of requests for `seconds` in all; the results in the same order.

    All the wrk processes exist at once, and all but one are stopped (SIGSTOP), each for a tenth of a second in turn: so
    every chain sees the same good and bad moments.
    """
    running: list[Wrk] = []
    try:
        for envoy, path in zip(envoys, requests, strict=True):
            running.append(Wrk(envoy, path, CONNECTIONS_PER_WORKER * workers, workers))
            running[-1].first_turn()
        for _ in range(max(1, round(seconds / SLICE_SECONDS))):
            for wrk in running:
                wrk.turn(SLICE_SECONDS)
        return [wrk.finish() for wrk in running]
    finally:
        for wrk in running:
            wrk.kill()


def one_after_another(envoys: list[Envoy], requests: list[Path], seconds: float, workers: int = 1) -> list[Run]:
    """As `in_turns`, for an upstream that takes its time: each wrk runs through, with its connections kept busy.

    A stopped wrk would let every request of its connections end, and begin them all at the same moment.
    """
    counter = "http.bench.downstream_rq_completed"
    done: list[Run] = []
    for envoy, path in zip(envoys, requests, strict=True):
        with Wrk(envoy, path, SLOW_CONNECTIONS * workers, workers, spread=UPSTREAM_SECONDS) as wrk:
            wrk.until(lambda e=envoy: e.stat(counter) >= 3 * SLOW_CONNECTIONS * workers, 60, "under way")
            completed, cpu = envoy.stat(counter), envoy.cpu_seconds()
            time.sleep(seconds)
            cpu = envoy.cpu_seconds() - cpu
            completed = envoy.stat(counter) - completed
            whole = wrk.finish()
            done.append(Run(completed, cpu * 1e6 / completed, whole.refused, whole.wraps))
    return done


def all_waiting(envoys: list[Envoy], requests: list[Path], _seconds: float, workers: int = 1) -> list[Run]:
    """`WAITING` requests of each of `envoys` wait for the upstream, and nothing else happens: percent of one core.

    Waiting takes so little that all Envoys can be measured in the same seconds.
    """
    gauge = "cluster.upstream.upstream_rq_active"
    running: list[Wrk] = []
    try:
        for envoy, path in zip(envoys, requests, strict=True):
            wrk = Wrk(envoy, path, WAITING, workers)
            running.append(wrk)
            wrk.until(lambda e=envoy: e.stat(gauge) == WAITING, 30, f"at {WAITING:,} waiting requests")
        time.sleep(1)
        before = [(envoy.cpu_seconds(), time.monotonic()) for envoy in envoys]
        time.sleep(WAITING_SECONDS)
        after = [(envoy.cpu_seconds(), time.monotonic()) for envoy in envoys]
        if any(envoy.stat(gauge) != WAITING for envoy in envoys):
            raise Failed(f"not all {WAITING:,} requests waited until the end")
        return [
            Run(WAITING, (cpu - cpu_before) / (now - then) * 100, 0, 0.0)
            for (cpu_before, then), (cpu, now) in zip(before, after, strict=True)
        ]
    finally:
        for wrk in running:
            wrk.kill()
