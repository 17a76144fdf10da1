"""Drives wrk against several Envoys in turns, in slices of a tenth of a second, and accounts the CPU of each.

A busy machine changes its speed from one second to the next by more than what is measured. So all the wrk processes of
a round exist at once, and all but one are stopped (SIGSTOP): every chain sees the same good and bad moments.
"""

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from envoy import Envoy, Failed, cores, on_cores

SCRIPT = Path(__file__).resolve().parent / "load.lua"
SLICE_SECONDS = 0.1
CONNECTIONS_PER_WORKER = 16


@dataclass
class Run:
    """What one chain did in one round."""

    requests: int
    cpu_us: float  # of the Envoy process, for each request completed
    refused: int  # answers with a status of 400 or more
    wraps: float  # how many times the list of requests was gone through


class Wrk:
    """One wrk, stopped whenever its turn is over."""

    def __init__(self, envoy: Envoy, requests: Path, workers: int):
        self.envoy = envoy
        command = ["wrk", "-t1", f"-c{CONNECTIONS_PER_WORKER * workers}", "-d3600s", "--timeout", "10s"]
        command += ["-s", str(SCRIPT), f"http://127.0.0.1:{envoy.port}/", "--", str(requests)]
        self.cpu_before = envoy.cpu_seconds()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=on_cores(cores(workers)[1]),
        )

    def first_turn(self):
        """Until the first answers: the list of requests has been read and the connections are open."""
        deadline = time.monotonic() + 60
        while self.envoy.cpu_seconds() - self.cpu_before < 0.005:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"wrk did not get going against `{self.envoy.name}`")
            time.sleep(0.002)
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


def one_round(envoys: list[Envoy], requests: list[Path], seconds: float, workers: int = 1) -> list[Run]:
    """Each of `envoys` under its own list of requests for `seconds` in all, in turns; the results in the same order."""
    running: list[Wrk] = []
    try:
        for envoy, path in zip(envoys, requests, strict=True):
            running.append(Wrk(envoy, path, workers))
            running[-1].first_turn()
        for _ in range(max(1, round(seconds / SLICE_SECONDS))):
            for wrk in running:
                wrk.turn(SLICE_SECONDS)
        return [wrk.finish() for wrk in running]
    finally:
        for wrk in running:
            wrk.kill()
