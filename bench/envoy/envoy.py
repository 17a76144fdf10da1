"""Starts, asks, measures and ends Envoy processes, each on its own cores. Linux only (/proc, CPU clocks, affinity)."""

import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import tokens

HERE = Path(__file__).resolve().parent
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """Something is missing or did not behave; the text says what to do."""


def cores(workers: int) -> tuple[set[int], set[int]]:
    """The cores of Envoy and those of wrk: apart where there are enough, sharing the last one where there are not."""
    usable = sorted(os.sched_getaffinity(0))
    envoy = set(usable[:workers])
    return envoy, set(usable[workers : workers + 1]) or {usable[-1]}


def find_envoy() -> str:
    """`ENVOY_BIN`, else the one on PATH, else the PyPI package in the project's virtual environment."""
    found = os.environ.get("ENVOY_BIN") or shutil.which("envoy")
    if not found:
        local = sorted((HERE.parents[1] / ".venv").glob("lib/python3*/site-packages/envoy/_bin/envoy"))
        found = str(local[0]) if local else None
    if not found or not os.access(found, os.X_OK):
        raise Failed("no Envoy: set ENVOY_BIN, put one on PATH, or run `make run` once, which fetches it")
    return found


def slug(name: str) -> str:
    """The name as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def on_cores(allowed: set[int]):
    def prepare():
        _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing outlives the benchmark, however it ends
        os.sched_setaffinity(0, allowed)

    return prepare


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Envoy:
    """One running Envoy. `load_seconds` is the time from its start to the first `/ready` that says so."""

    def __init__(self, binary: str, make_bootstrap, name: str, folder: Path, workers=1, on: set[int] | None = None):
        self.name = name
        self.port, self.admin_port = _free_ports(2)
        self.log_path = folder / f"{slug(name)}.log"
        config = folder / f"{slug(name)}.json"
        config.write_text(json.dumps(make_bootstrap(self.port, self.admin_port)))
        command = [binary, "-c", str(config), "--concurrency", str(workers), "--disable-hot-restart"]
        started = time.monotonic()
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "API_GUARD_SECRET": tokens.SECRET.decode()},
                preexec_fn=on_cores(on or cores(workers)[0]),
            )
        try:
            self._wait_until_ready(started + 60)
        except BaseException:
            self.stop()
            raise
        self.load_seconds = time.monotonic() - started

    def _wait_until_ready(self, deadline: float):
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                tail = self.log_path.read_text(errors="replace").splitlines()[-5:]
                raise Failed(f"Envoy `{self.name}` ended at its start:\n" + "\n".join(tail))
            try:
                if self.ask("GET", "/ready", port=self.admin_port)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.005)
        raise Failed(f"Envoy `{self.name}` was not ready after 60 s, see {self.log_path}")

    def ask(self, method: str, path: str, token: str | None = None, body: str | None = None, port: int | None = None):
        """One request: (status, headers in lower case, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        headers = {"content-type": "application/json"} if body else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def post_all(self, path: str, token: str, bodies: list[str], ahead: int = 200):
        """Posts all bodies, many at a time over one connection; each must be answered with 200.

        A filter may answer before Envoy has seen a request's end, and Envoy then closes the connection: what was not
        answered is sent again, one at a time. So posting a body twice must do no harm.
        """
        head = f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"
        head += "content-type: application/json\r\n"
        requests = [f"{head}content-length: {len(body)}\r\n\r\n{body}".encode() for body in bodies]
        while requests:
            received = b""
            batch = requests[:ahead]
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                    connection.sendall(b"".join(batch))
                    while received.count(b"HTTP/1.1 ") < len(batch) and (chunk := connection.recv(65536)):
                        received += chunk
            except ConnectionError:
                pass
            answered, good = received.count(b"HTTP/1.1 "), received.count(b"HTTP/1.1 200 ")
            if good != answered or (answered == 0 and ahead == 1):
                raise Failed(f"`{self.name}` answered {good} of {answered} posts with 200: {received[-300:]!r}")
            if answered < len(batch):
                ahead = 1
            requests = requests[answered:]

    def stat(self, name: str) -> int:
        """A counter or gauge of the whole process."""
        text = self.ask("GET", f"/stats?filter=^{re.escape(name)}$", port=self.admin_port)[2].decode()
        return int(text.rpartition(":")[2]) if text.strip() else 0

    def cpu_seconds(self) -> float:
        """CPU time of all threads of the process so far, in the scheduler's nanoseconds (Linux CPUCLOCK_SCHED)."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_kib(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failed(f"Envoy `{self.name}` has no resident memory: did it end?")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
