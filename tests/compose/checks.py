"""What the containers of docker-compose.yaml have to answer."""

import base64
import collections
import hashlib
import hmac
import http.client
import io
import json
import os
import socket
import subprocess
import tarfile
import time

Ports = collections.namedtuple("Ports", "api admin")


class Failed(Exception):
    """There is no use in going on."""


class Tally:
    """How many rules held, and how many did not."""

    passed = 0
    failed = 0


def ports():
    """The ports to publish: as the environment says, else free ones."""
    with socket.socket() as one, socket.socket() as other:
        free = []
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
            free.append(each.getsockname()[1])
    return Ports(
        int(os.environ.get("API_GUARD_PORT", free[0])), int(os.environ.get("API_GUARD_ADMIN_PORT", free[1])))


def expect(rule, found, wanted):
    if found == wanted:
        Tally.passed += 1
        print(f"  {rule}: {found}", flush=True)
    else:
        Tally.failed += 1
        print(f"  FAILED {rule}: expected {wanted!r}, got {found!r}", flush=True)


def token(secret, subject, permissions=()):
    """A token as `api-guard mint` makes it."""
    now = int(time.time())
    claims = {"sub": subject, "iat": now, "exp": now + 600, "permissions": list(permissions)}
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    signed = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + encode(mac)).decode()


def ask(port, path, bearer=None, method="GET"):
    """Status, headers and JSON body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"authorization": f"Bearer {bearer}"} if bearer else {})
        reply = connection.getresponse()
        body = reply.read()
        return reply.status, reply.headers, json.loads(body or "{}")
    finally:
        connection.close()


def refuses_to_start_without_a_secret(compose, environment):
    bare = {name: value for name, value in environment.items() if name != "API_GUARD_SECRET"}
    tried = subprocess.run(
        [*compose, "config"], env=bare, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    expect("without API_GUARD_SECRET compose starts nothing and names it",
           (tried.returncode != 0, "API_GUARD_SECRET" in tried.stdout), (True, True))


def answers(where, secret):
    """The README's answers, from outside."""
    reader = token(secret, "user-7", ["orders:read"])
    wait_until_served(where.api, reader)
    status, _, heard = ask(where.api, "/orders/42", reader)
    expect("a good token", status, 200)
    expect("  the upstream hears who", heard, {"path": "/orders/42", "subject": "user-7", "permissions": "orders:read"})
    for rule, path, bearer, method, wanted in (
            ("no token", "/orders/42", None, "GET", (401, "token_missing")),
            ("another secret", "/orders/42", token("x" * 32, "user-7"), "GET", (401, "token_signature_invalid")),
            ("a permission is missing", "/orders/42", reader, "DELETE", (403, "permission_missing")),
            ("another user's path", "/users/user-8", reader, "GET", (403, "binding_mismatch"))):
        status, _, problem = ask(where.api, path, bearer, method)
        expect(rule, (status, problem.get("code")), wanted)
    expect("a path that no route has", ask(where.api, "/anything", reader)[0], 403)
    hungry = token(secret, "user-9", ["orders:read"])
    admitted = sum(ask(where.api, "/orders/9", hungry)[0] == 200 for _ in range(100))
    expect("of a hundred requests in a minute pass", admitted, 100)
    status, headers, problem = ask(where.api, "/orders/9", hungry)
    expect("the one after", (status, problem.get("code")), (429, "rate_limited"))
    expect("  with Retry-After", headers.get("retry-after", "").isdigit(), True)
    metrics(where.admin)


def fleet(port, secret, restart):
    """What docs/fleet.md promises of three Envoys that one port spreads requests over. `restart`: begins one of them anew."""
    wait_until_served(port, token(secret, "user-7", ["orders:read"]))
    # Until each of them has read all revocations, and knows of the others.
    time.sleep(6)
    hungry = token(secret, "user-9", ["orders:read"])
    heard = collections.Counter(ask(port, "/orders/9", hungry)[0] for _ in range(150))
    expect("of 150 requests within a minute pass as many as a limit of 100 says, or a few less",
           (90 <= heard[200] <= 100, heard[200] + heard[429]), (True, 150))
    mine, other = (token(secret, name, ["orders:read"]) for name in ("user-10", "user-11"))
    # 503: in force at one, and told to the store as soon as that answers in time.
    expect("a token is revoked at one", ask(port, "/auth/revoke", mine, "POST")[0] in (200, 503), True)
    expect("  and refused by all", statuses_become(port, mine, {401}), {401})
    expect("  but no other is", statuses_become(port, other, {200}), {200})
    restart()
    expect("  a restart", statuses_become(port, other, {200}), {200})
    expect("  forgets nothing of it", statuses_become(port, mine, {401}), {401})


def statuses_become(port, bearer, wanted):
    """The statuses of three requests to each of three Envoys, as soon as they are these, else after a while."""
    deadline = time.monotonic() + 60
    while True:
        found = set()
        for _ in range(9):
            try:
                found.add(ask(port, "/orders/1", bearer)[0])
            except (OSError, http.client.HTTPException, ValueError):
                # The Envoy in front says in plain text that it does not reach one of them.
                found.add(None)
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def wait_until_served(port, bearer):
    deadline = time.monotonic() + 60
    while True:
        try:
            if ask(port, "/orders/1", bearer)[0] == 200:
                return
        except (OSError, http.client.HTTPException, ValueError):
            pass
        if time.monotonic() > deadline:
            raise Failed("no 200 within a minute")
        time.sleep(0.2)


def metrics(port):
    """The counters, with their labels, from the admin interface as it is published."""
    wanted = 'api_guard_requests_total{decision="refused",code="rate_limited"} 1'
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/stats/prometheus")
        text = connection.getresponse().read().decode()
        connection.close()
        if wanted in text or time.monotonic() > deadline:
            expect("the metrics have it", wanted in text, True)
            return
        time.sleep(0.2)


def image_holds_the_module(root, module):
    """The Dockerfile yields the image that Istio and Envoy Gateway load: one file, /plugin.wasm."""

    def run(*command):
        # Its warnings (of the builder's age) are shown only if it fails.
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    tag = f"api-guard-compose-test:{os.getpid()}"
    container = None
    run("docker", "build", "--quiet", "--tag", tag, ".")
    try:
        container = run("docker", "create", tag, "/plugin.wasm").decode().strip()
        with tarfile.open(fileobj=io.BytesIO(run("docker", "cp", f"{container}:/plugin.wasm", "-"))) as archive:
            found = archive.extractfile("plugin.wasm").read()
        with open(module, "rb") as shipped:
            expect("the image of the Dockerfile holds the module as /plugin.wasm", found == shipped.read(), True)
        with tarfile.open(fileobj=io.BytesIO(run("docker", "save", tag))) as image:
            layers = json.load(image.extractfile("manifest.json"))[0]["Layers"]
            files = [name for layer in layers for name in tarfile.open(fileobj=image.extractfile(layer)).getnames()]
        expect("and nothing else", files, ["plugin.wasm"])
    finally:
        if container:
            run("docker", "rm", container)
        run("docker", "image", "rm", tag)
