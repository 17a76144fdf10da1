"""The store of a fleet: a Redis or Valkey of this machine, on the load generator's core."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

from envoy import Failed, cores, on_cores

PROGRAMS = ("redis-server", "valkey-server")


def find() -> str | None:
    """The program, or None: this machine has none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Store:
    """A store that keeps nothing on disk."""

    def __init__(self, program: str, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        with (folder / "store.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=on_cores(cores(1)[1])
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.005)
        self.stop()
        raise Failed(f"{program} does not listen, see {folder / 'store.log'}")

    def stop(self):
        self.process.kill()
        self.process.wait()
