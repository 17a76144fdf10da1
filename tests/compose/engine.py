"""A Docker engine to test with, and the images that the compose files name."""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time

IMAGE = "envoyproxy/envoy:v1.40.0"
# The store's, in docker-compose.fleet.yaml, and the user that it has for it.
STORE, STORE_USER = "valkey/valkey:8.1", 999

# Names the directory of an engine of our own, in the process that is to start it.
PRIVATE = "API_GUARD_COMPOSE_TEST_ENGINE"

# As dockerd starts on an ordinary machine; then without what sandboxes lack.
DAEMON_FLAGS = [[], ["--storage-driver=vfs"], ["--storage-driver=vfs", "--iptables=false"]]


def succeeds(*command):
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.run(command, timeout=600, **quiet).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def answers():
    """Whether an engine runs that this user may use."""
    return succeeds("docker", "version")


def compose():
    """The compose command, of the second version or the first."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if succeeds(*command, "version"):
            return command
    return None


def unable():
    """Why no engine can be started here; None if one can."""
    if not sys.platform.startswith("linux"):
        return "no Docker engine runs: start one"
    if os.geteuid() != 0:
        return "no Docker engine runs, and only root could start one"
    missing = [name for name in ("docker", "dockerd") if not shutil.which(name)]
    if not compose():
        missing.append("docker compose (or docker-compose)")
    if missing:
        return f"no Docker engine runs, and {', '.join(missing)} is not installed: `make docker` installs Debian's"
    if not succeeds("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"):
        return "no Docker engine runs, and this root may not make the namespaces that one would be started in"
    return None


def run_again_in_namespaces(script):
    """Runs `script` where an engine can be started without a trace: own network, mounts and processes."""
    # A short path: sockets live in it, and theirs may not be long.
    directory = tempfile.mkdtemp(prefix="agct-", dir="/tmp")
    environment = {**os.environ, PRIVATE: directory, "DOCKER_HOST": f"unix://{directory}/socket"}
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"):
        environment.pop(name, None)
    command = ["unshare", "--net", "--mount", "--pid", "--kill-child", "--mount-proc", sys.executable, script]
    process = subprocess.Popen(command, env=environment, preexec_fn=end_with_parent)
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def end_with_parent():
    """Also when the parent is killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


@contextlib.contextmanager
def started(directory):
    """An engine of our own, in the namespaces that we are in."""
    raise_loopback()
    log = os.path.join(directory, "log")
    for flags in DAEMON_FLAGS:
        places = [f"--{name}={directory}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        with open(log, "wb") as output:
            daemon = subprocess.Popen(
                ["dockerd", *places, f"--host=unix://{directory}/socket", *flags], stdout=output, stderr=output)
        try:
            if becomes_ready(daemon):
                print(f"started a Docker engine of our own ({' '.join(flags) or 'no flags'}), without a network", flush=True)
                yield
                return
        finally:
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
    with open(log, encoding="utf-8", errors="replace") as lines:
        sys.exit("dockerd does not start:\n" + "".join(lines.readlines()[-20:]))


def becomes_ready(daemon):
    for _ in range(150):
        if daemon.poll() is not None:
            return False
        if answers():
            return True
        time.sleep(0.2)
    return False


def raise_loopback():
    """`ip link set lo up`, where there may be no `ip`."""
    siocsifflags, up_and_running = 0x8914, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sh14x", b"lo", up_and_running))


def provide_image(root, can_pull):
    """Makes sure that Envoy's image is there. Whether it is a stand-in, to be removed afterwards."""
    return provide(IMAGE, can_pull, lambda: envoy_files(root),
                   ['ENV PATH=/usr/local/bin', 'CMD ["envoy","-c","/etc/envoy/envoy.yaml"]', "USER 101:101"])


def envoy_files(root):
    envoy = subprocess.run(
        [os.path.join(root, "scripts", "envoy.sh")], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    return envoy, "usr/local/bin/envoy", ("tmp", 0o1777, 0)


def provide_store(can_pull):
    """Makes sure that the store's image is there. Whether it is a stand-in, to be removed afterwards."""
    return provide(STORE, can_pull, store_files,
                   ["ENV PATH=/usr/local/bin", "WORKDIR /data", 'CMD ["valkey-server"]'])


def store_files():
    store = shutil.which("valkey-server") or shutil.which("redis-server")
    if not store:
        sys.exit(f"{STORE} cannot be pulled, and nothing can stand in for it: apt-get install redis-server")
    return store, "usr/local/bin/valkey-server", ("data", 0o755, STORE_USER)


def provide(image, can_pull, files, changes):
    if succeeds("docker", "image", "inspect", image):
        print(f"{image}: the one that is here", flush=True)
        return False
    if can_pull and succeeds("docker", "pull", "--quiet", image):
        print(f"{image}: pulled", flush=True)
        return False
    binary, inside, (folder, mode, owner) = files()
    print(f"{image}: cannot be pulled here, so a STAND-IN of that name is made from {binary} and the libraries it loads;"
          " it has the official image's command and user, not its entry point or anything else", flush=True)
    command = ["docker", "import", *(word for line in changes for word in ("--change", line)), "-", image]
    importing = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    with tarfile.open(fileobj=importing.stdin, mode="w|", dereference=True) as archive:
        archive.add(binary, inside, filter=owned_by_root)
        for library in libraries(binary):
            archive.add(library, library.lstrip("/"), filter=owned_by_root)
        scratch = tarfile.TarInfo(folder)
        scratch.type, scratch.mode, scratch.uid, scratch.gid = tarfile.DIRTYPE, mode, owner, owner
        archive.addfile(scratch)
    importing.stdin.close()
    if importing.wait():
        sys.exit(f"the stand-in image for {image} could not be imported")
    return True


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    entry.mode = 0o755
    return entry


def libraries(binary):
    """What the loader would load, the loader with it."""
    listed = subprocess.run(["ldd", binary], stdout=subprocess.PIPE, text=True, check=False).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listed)))


def remove_image(image=IMAGE):
    succeeds("docker", "image", "rm", "--force", image)
