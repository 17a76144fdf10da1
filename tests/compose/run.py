#!/usr/bin/env python3
"""Starts the shipped docker-compose.yaml for real, asks it what the README promises, and takes it down.

Uses the Docker engine that runs. Where none does and this is root on Linux, starts one of its own in namespaces of its
own: when this process ends, however it ends, the kernel ends all of it. Where neither can be, says what is missing and
fails; COMPOSE_TEST_OPTIONAL=1 makes that a success. Installs nothing: `make docker` does.
API_GUARD_KIND=native tries the native library in place of the module, API_GUARD_COMPOSE=fleet docker-compose.fleet.yaml.
API_GUARD_PORT and API_GUARD_ADMIN_PORT choose the ports (free ones otherwise), ENVOY_BIN the binary for a stand-in image.
"""

import os
import secrets
import signal
import subprocess
import sys

import checks
import engine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULE = os.path.join(ROOT, "dist", "api_guard.wasm")
LIBRARY = os.path.join(ROOT, "dist", "libapi_guard.so")
NATIVE = os.environ.get("API_GUARD_KIND") == "native"
FLEET = os.environ.get("API_GUARD_COMPOSE") == "fleet"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not NATIVE and not os.path.isfile(MODULE):
        sys.exit("dist/api_guard.wasm is missing: run `make build` first")
    if NATIVE and not os.path.isfile(LIBRARY):
        sys.exit("dist/libapi_guard.so is missing: run `make native` first")
    private = os.environ.get(engine.PRIVATE)
    if private:
        with engine.started(private):
            return test(isolated=True)
    if engine.answers():
        if not engine.compose():
            return skip("a Docker engine runs, but neither `docker compose` nor docker-compose is installed")
        return test(isolated=False)
    reason = engine.unable()
    if reason:
        return skip(reason)
    return engine.run_again_in_namespaces(os.path.abspath(__file__))


def skip(reason):
    print(f"compose test SKIPPED, nothing was tested: {reason}")
    return 0 if os.environ.get("COMPOSE_TEST_OPTIONAL") == "1" else 1


def test(isolated):
    stand_ins = [image for image, is_stand_in in images(can_pull=not isolated) if is_stand_in]
    secret = secrets.token_urlsafe(32)
    ports = checks.ports()
    environment = {
        **os.environ,
        "API_GUARD_SECRET": secret,
        "API_GUARD_PORT": str(ports.api),
        "API_GUARD_ADMIN_PORT": str(ports.admin),
        "COMPOSE_PROJECT_NAME": f"api-guard-test-{os.getpid()}",
    }
    if FLEET:
        environment["API_GUARD_FLEET_SECRET"] = secrets.token_urlsafe(32)
        environment["API_GUARD_REDIS_PASSWORD"] = secrets.token_urlsafe(32)
        files = ["docker-compose.fleet.yaml"]
    else:
        files = ["docker-compose.yaml", *(["docker-compose.native.yaml"] if NATIVE else [])]
    compose = [*engine.compose(), *(word for name in files for word in ("--file", os.path.join(ROOT, name)))]

    def call(*arguments, **options):
        return subprocess.run([*compose, *arguments], env=environment, cwd=ROOT, **options)

    try:
        checks.refuses_to_start_without_a_secret(compose, environment)
        call("up", "--detach", check=True)
        if FLEET:
            checks.fleet(ports.api, secret, lambda: call("restart", "--timeout", "2", "envoy-2", check=True))
        else:
            checks.answers(ports, secret)
            if not NATIVE:
                checks.image_holds_the_module(ROOT, MODULE)
    except (checks.Failed, subprocess.SubprocessError) as failure:
        checks.Tally.failed += 1
        print(f"  FAILED {failure}", flush=True)
    finally:
        if checks.Tally.failed:
            call("logs", "--no-color")
        call("down", "--timeout", "2", "--volumes", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for image in stand_ins:
            engine.remove_image(image)
    print(f"compose test: {checks.Tally.passed} passed, {checks.Tally.failed} failed", flush=True)
    return 1 if checks.Tally.failed else 0


def images(can_pull):
    yield engine.IMAGE, engine.provide_image(ROOT, can_pull)
    if FLEET:
        yield engine.STORE, engine.provide_store(can_pull)


if __name__ == "__main__":
    sys.exit(main())
