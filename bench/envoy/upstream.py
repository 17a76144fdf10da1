"""The upstreams that are not in the measured Envoy: one that takes 100 ms, and one that never answers."""

import resource
import socket
from pathlib import Path

import chains
from envoy import Envoy, Failed, cores
from load import FILES_AT_MOST, FILES_NEEDED, WAITING

BACKLOG = 4_096


class Slow:
    """An Envoy on the load generator's core, so that it takes nothing from what is measured."""

    def __init__(self, binary: str, folder: Path):
        self.envoy = Envoy(binary, chains.slow_upstream, "slow upstream", folder, on=cores(1)[1])
        self.port = self.envoy.port

    def stop(self):
        self.envoy.stop()


class Silent:
    """Lets the kernel take connections and requests, and accepts none: requests wait, and nobody spends CPU on it."""

    def __init__(self):
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        if most < WAITING:
            raise Failed(f"net.core.somaxconn is {most}: raise it to {BACKLOG}")
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port = self.listening.getsockname()[1]

    def stop(self):
        self.listening.close()


def raise_file_limit():
    """Lets this process and those it starts open as many files as they may: a waiting request takes two of Envoy's."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = FILES_AT_MOST if hard == resource.RLIM_INFINITY else min(hard, FILES_AT_MOST)
    if soft < FILES_NEEDED:
        raise Failed(f"only {soft} files may be open, not {FILES_NEEDED}: raise the hard limit (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
