"""What is measured: the chains by name, and the loads put on them."""

import random
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Callable

import chains
import load as driving
import tokens
from built import CALLS, FLOORS
from kinds import CACHED, EMPTY, LIMITED, NATIVE, NONE, POLICIES, REVOKED_0, REVOKED_60_000, ROUTES_10, ROUTES_10_000
from kinds import HS256, KEYS_100, RS256, SHARED, TRUSTED, Kind, kind_of

REVOCATIONS = 60_000


def filters(name: str, files: dict[str, Path]) -> list[dict]:
    """The chain of HTTP filters of that name; `files` are those built for comparison, and those of the kinds."""
    if kind := kind_of(name):
        return kind.build(name, files)
    if name.startswith(NATIVE):
        few = POLICIES[LIMITED] if name.endswith(LIMITED) else {}
        return chains.native(cache=name.startswith(CACHED), public=name.endswith(RS256), **few)
    if name in CALLS:
        which, steps = CALLS[name]
        return chains.wasm(files[which], "calls", steps)
    return chains.wasm(files["empty"], "empty") if name == EMPTY else []


class Upstream(Enum):
    """What answers the requests that every filter lets pass."""

    AT_ONCE = "a direct response"
    SLOW = f"one that takes {chains.UPSTREAM_SECONDS * 1000:.0f} ms"
    SILENT = "one that never answers"


@dataclass
class Load:
    """One kind of traffic, and the chains that are compared under it. The first chain is the one to subtract."""

    name: str
    title: str
    chains: list[str]
    requests: Callable[[str, float], list[str]]  # (chain, seconds of a round) -> lines for load.lua
    status: int = 200  # what every chain but the bare ones must answer
    workers: int = 1
    bodies: bool = False
    upstream: Upstream = Upstream.AT_ONCE
    drive: Callable = driving.in_turns
    unit: str = "us"  # of every figure: us for each request, or points of percent of one core
    charted: bool = True  # False: of another order of size, which would flatten the chart's other bars
    usual: bool = True  # False: measured only when asked for by name
    anew: bool = False  # a new list of requests for every round
    store: bool = False  # some of the chains need the store of a fleet
    life: int = 1  # rounds, after which every chain gets a new process


def _one(method="GET", path="/orders/17", **token) -> Callable[[str, float], list[str]]:
    line = f"{method} {path} {tokens.mint(**token)}"
    return lambda _chain, _seconds: [line]


def _fresh(_chain: str, seconds: float) -> list[str]:
    # more than any chain that verifies can take, so that no token comes twice (the runner checks it)
    return [f"GET /orders/17 {token}" for token in tokens.mint_many(int(45_000 * (seconds + 0.3)))]


def _all_routes(chain: str, _seconds: float) -> list[str]:
    token = tokens.mint()
    count = 10_000 if ROUTES_10_000 in chain else 10
    # every list has the same length, so that wrk does the same work
    lines = [f"GET /service-{i % count:05d}/orders/17 {token}" for i in range(10_000)]
    random.Random(17).shuffle(lines)
    return lines


def _public(chain: str, _seconds: float) -> list[str]:
    # tokens of one size, whatever they are signed with
    return [f"GET /orders/17 {tokens.mint(size=tokens.PUBLIC_TOKEN_BYTES, public=not chain.endswith(HS256))}"]


def _fresh_public(_chain: str, seconds: float) -> list[str]:
    return [f"GET /orders/17 {token}" for token in tokens.mint_public(int(7_000 * (seconds + 0.3)))]


def loads(kinds: list[Kind]) -> list[Load]:
    """All loads, with the chains of these kinds."""

    def guards(*suffixes: str) -> list[str]:
        return [kind.chain + suffix for kind in kinds for suffix in suffixes]

    compared = [NONE, *guards(""), CACHED, NATIVE]
    compared_limited = [NONE, *guards(LIMITED), CACHED + LIMITED, NATIVE + LIMITED]
    trusting = [NONE, *guards("", TRUSTED), CACHED, NATIVE]
    slow = {"upstream": Upstream.SLOW, "drive": driving.one_after_another}
    silent = {"upstream": Upstream.SILENT, "drive": driving.all_waiting, "unit": "points", "charted": False}
    waiting_title = f"CPU of the idle process, percent of a core: {driving.WAITING:,} requests wait for the upstream"
    forged = {"secret": tokens.WRONG_SECRET}
    late = _one(path=chains.LATE)
    return [
        Load("repeated", "GET, one token again and again", [NONE, EMPTY, *trusting[1:]], _one()),
        Load("fresh", "GET, a new token each request", trusting, _fresh, anew=True),
        Load("post", "POST with a JSON body, one token", compared, _one("POST"), bodies=True),
        Load("expired", "refused: expired token", compared, _one(ttl=-60, age=600), status=401),
        Load("forged", "refused: wrong signature", compared, _one(**forged), status=401),
        Load("limited", "refused: over the limit", compared_limited, _one(), status=429),
        Load(
            "huge",
            "refused: forged token of 50 KB",
            compared,
            _one(size=50_000, **forged),
            status=401,
            charted=False,
        ),
        Load("slow", f"GET, one token; the upstream is {Upstream.SLOW.value}", compared, late, **slow),
        Load("waiting", waiting_title, [NONE, *guards(""), CACHED], late, **silent),
        Load("two-workers", "GET, one token, two workers", compared, _one(), workers=2),
        Load(
            "routes",
            "GET, one token, all routes in random order",
            [NONE, *guards(ROUTES_10, ROUTES_10_000)],
            _all_routes,
        ),
        Load(
            "key-sets",
            "GET, one token, of a secret or of an issuer with public keys",
            [NONE, *guards(HS256, RS256, KEYS_100)],
            _public,
        ),
        Load(
            "fresh-rs256",
            "GET, a new token of RS256 each request",
            [NONE, *guards(RS256), CACHED + RS256, NATIVE + RS256],
            _fresh_public,
            anew=True,
        ),
        Load(
            "revocations",
            "GET, one token, revocations alive",
            [NONE, *guards(REVOKED_0, REVOKED_60_000)],
            _one(),
            life=3,
        ),
        Load(
            "fleet",
            "GET, one token; the limit counts in this Envoy, or in a fleet that has units in hand",
            [NONE, *guards("", SHARED)],
            _one(),
            store=True,
        ),
        Load(
            "floor",
            "GET, one token; beside modules of host calls alone",
            [NONE, EMPTY, *FLOORS, *guards(""), CACHED],
            _one(),
            usual=False,
        ),
        Load("host-calls", "what host calls cost in place", [NONE, EMPTY, *CALLS], _one(), usual=False),
    ]
