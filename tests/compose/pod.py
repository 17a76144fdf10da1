#!/usr/bin/env python3
"""Runs the container of `api-guard emit kubernetes` in a Docker engine as its Deployment says, and asks it what the README promises.

The engine is found or started as run.py does it. The kubelet's part is small here: volumes from the ConfigMaps, variables from
a Secret, the security context, and the probes. API_GUARD names the command, target/debug/api-guard otherwise; PyYAML reads
what it prints.
"""

import base64
import os
import secrets
import signal
import subprocess
import sys
import tempfile

import checks
import engine

try:
    import yaml
except ImportError:
    yaml = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULE = os.path.join(ROOT, "dist", "api_guard.wasm")
COMMAND = os.environ.get("API_GUARD", os.path.join(ROOT, "target", "debug", "api-guard"))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for needed, how in ((MODULE, "make build"), (COMMAND, "cargo build")):
        if not os.path.isfile(needed):
            sys.exit(f"{needed} is missing: run `{how}` first")
    if not yaml:
        return skip("PyYAML is not installed")
    private = os.environ.get(engine.PRIVATE)
    if private:
        with engine.started(private):
            return test(can_pull=False)
    if engine.answers():
        return test(can_pull=True)
    reason = engine.unable()
    return skip(reason) if reason else engine.run_again_in_namespaces(os.path.abspath(__file__))


def skip(reason):
    print(f"pod test SKIPPED, nothing was tested: {reason}")
    return 0 if os.environ.get("COMPOSE_TEST_OPTIONAL") == "1" else 1


def objects():
    """The manifest, by kind and name."""
    config = os.path.join(ROOT, "examples", "api-guard.json")
    call = [COMMAND, "emit", "kubernetes", "--config", config, "--module", MODULE, "--envoy-image", engine.IMAGE]
    text = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def volume(manifest, source, folder):
    """A ConfigMap's files in a folder."""
    held = manifest["ConfigMap", source["configMap"]["name"]]
    os.makedirs(folder)
    files = {name: text.encode() for name, text in held.get("data", {}).items()}
    files.update({name: base64.b64decode(text) for name, text in held.get("binaryData", {}).items()})
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    # Whoever the pod runs as may read them, as the kubelet does it.
    os.chmod(os.path.dirname(folder), 0o755)
    return folder


def arguments(manifest, secret, ports, folder):
    """How Docker is told what the Deployment says."""
    pod = manifest["Deployment", "api-guard"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    rights, user = container["securityContext"], pod["securityContext"]
    sources = {one["name"]: one for one in pod["volumes"]}
    told = ["--user", f"{user['runAsUser']}:{user['runAsGroup']}"]
    if rights["readOnlyRootFilesystem"]:
        told += ["--read-only"]
    if not rights["allowPrivilegeEscalation"]:
        told += ["--security-opt", "no-new-privileges"]
    for name in rights["capabilities"]["drop"]:
        told += ["--cap-drop", name]
    told += ["--memory", container["resources"]["limits"]["memory"].replace("Mi", "m")]
    for variable in container["env"]:
        told += ["--env", f"{variable['name']}={secret}"]
    for mount in container["volumeMounts"]:
        files = volume(manifest, sources[mount["name"]], os.path.join(folder, mount["name"]))
        told += ["--volume", f"{files}:{mount['mountPath']}:ro"]
    for port, published in zip(container["ports"], ports):
        told += ["--publish", f"127.0.0.1:{published}:{port['containerPort']}"]
    # The official image's entry point is Envoy, that of a stand-in is none.
    return [*told, "--entrypoint", "/usr/local/bin/envoy", container["image"], *container["args"]]


def test(can_pull):
    stand_in = engine.provide_image(ROOT, can_pull=can_pull)
    secret = secrets.token_urlsafe(32)
    ports = checks.ports()
    name = f"api-guard-pod-test-{os.getpid()}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            told = arguments(objects(), secret, ports, folder)
            subprocess.run(["docker", "run", "--detach", "--name", name, *told], check=True, stdout=subprocess.DEVNULL)
            # The metrics come from the probes' listener, as the kubelet and Prometheus reach it.
            checks.answers(ports, secret)
            found = [status(ports.admin, path) for path in ("/ready", "/config_dump", "/quitquitquit")]
            checks.expect("the probes' listener answers for /ready, and for nothing else", found, [200, 404, 404])
    except (checks.Failed, subprocess.SubprocessError) as failure:
        checks.Tally.failed += 1
        print(f"  FAILED {failure}", flush=True)
    finally:
        if checks.Tally.failed:
            subprocess.run(["docker", "logs", name], check=False)
        engine.succeeds("docker", "rm", "--force", name)
        if stand_in:
            engine.remove_image()
    print(f"pod test: {checks.Tally.passed} passed, {checks.Tally.failed} failed", flush=True)
    return 1 if checks.Tally.failed else 0


def status(port, path):
    connection = checks.http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
