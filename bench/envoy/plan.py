"""What is measured: the chains by name, the loads put on them, and the targets held against the results."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import chains
import tokens

GUARD, CACHED, NATIVE, NONE, EMPTY = "api-guard", "native with cache", "native", "no filter", "empty module"
BEFORE = "api-guard before"  # another build, to see what a change brought
LIMITED = " over the limit"
DEFAULTS = " with all defaults"
TRUSTED = f"{GUARD}, address from x-envoy-external-address"
ROUTES_10, ROUTES_10_000 = f"{GUARD}, 10 routes", f"{GUARD}, 10,000 routes"
REVOKED_0, REVOKED_60_000 = f"{GUARD}, 0 revocations", f"{GUARD}, 60,000 revocations"
REVOCATIONS = 60_000


# What each host call costs in place: the chains of the load `host-calls`, as words for calls.rs. A call costs more
# among others than alone, because the caches are colder, so each is also left out of the whole.
CALLS = {
    "all headers": ("calls", "h"),
    "all headers, swap of a shared value": ("calls", "hs"),
    "eight calls: headers, clock, address, stamp, swap, edit, state, counter": ("calls", "hcavsepm"),
    "eight, with create and delete exported": ("calls-lifecycle", "hcavsepm"),
    "eight, with create, delete and response exported": ("calls-response", "hcavsepm"),
    "eight, with a second edit": ("calls", "hcavsefpm"),
    "eight, with one more header": ("calls", "hqcavsepm"),
    "eight without the clock": ("calls", "havsepm"),
    "eight without the address": ("calls", "hcvsepm"),
    "eight without the stamp": ("calls", "hcasepm"),
    "eight without the swap": ("calls", "hcavepm"),
    "eight without the edit": ("calls", "hcavspm"),
    "eight without the filter state": ("calls", "hcavsem"),
    "eight without the counter": ("calls", "hcavsep"),
    "eight, the header added and not replaced": ("calls", "hcavsApm"),
    "eight, a metric for the stamp": ("calls", "hcansepm"),
    "headers, clock, edit": ("calls", "hce"),
    "headers, clock, stamp, address, added header, filter state": ("calls-lifecycle", "hcvaAp"),
    "headers, clock, stamp, added header, filter state": ("calls-lifecycle", "hcvAp"),
    "headers, clock, metric, added header, filter state": ("calls-lifecycle", "hcnAp"),
}
# What api-guard does at the least for a request, with and without an address to ask for.
FLOORS = ["headers, clock, stamp, address, added header, filter state", "headers, clock, stamp, added header, filter state"]
# The modules that are built for comparison: name -> (source, flags)
BUILT = {
    "empty": ("empty.rs", []),
    "calls": ("calls.rs", []),
    "calls-lifecycle": ("calls.rs", ["--cfg", "lifecycle"]),
    "calls-response": ("calls.rs", ["--cfg", "lifecycle", "--cfg", "response"]),
}


def filters(name: str, modules: dict[str, Path]) -> list[dict]:
    """The chain of HTTP filters of that name; `modules` are those of `BUILT`, and api-guard's by their chain's name."""
    few = {"requests": chains.FEW, "window": chains.LONG_WINDOW_SECONDS}
    guard: dict[str, dict] = {
        GUARD: {},
        BEFORE: {},
        TRUSTED: {"trusted": True},
        GUARD + DEFAULTS: {"defaults": True},
        GUARD + LIMITED: few,
        ROUTES_10: {"routes": chains.numbered_routes(10)},
        ROUTES_10_000: {"routes": chains.numbered_routes(10_000)},
        REVOKED_0: {"revocation": True},
        REVOKED_60_000: {"revocation": True},
    }
    native: dict[str, dict] = {
        CACHED: {"cache": True},
        CACHED + DEFAULTS: {"cache": True, "defaults": True},
        CACHED + LIMITED: {"cache": True, **few},
        NATIVE: {"cache": False},
        NATIVE + DEFAULTS: {"cache": False, "defaults": True},
        NATIVE + LIMITED: {"cache": False, **few},
    }
    if name in guard:
        policy = chains.guard_policy(**guard[name])
        return chains.wasm(modules.get(name, modules[GUARD]), "api-guard", json.dumps(policy))
    if name in native:
        return chains.native(**native[name])
    if name in CALLS:
        which, steps = CALLS[name]
        return chains.wasm(modules[which], "calls", steps)
    return chains.wasm(modules["empty"], "empty") if name == EMPTY else []


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
    charted: bool = True  # False: of another order of size, which would flatten the chart's other bars
    usual: bool = True  # False: measured only when asked for by name
    anew: bool = False  # a new list of requests for every round
    life: int = 1  # rounds, after which every chain gets a new process


def _one(method="GET", **token) -> Callable[[str, float], list[str]]:
    line = f"{method} /orders/17 {tokens.mint(**token)}"
    return lambda _chain, _seconds: [line]


def _fresh(_chain: str, seconds: float) -> list[str]:
    # more than any chain that verifies can take, so that no token comes twice (the runner checks it)
    return [f"GET /orders/17 {token}" for token in tokens.mint_many(int(45_000 * (seconds + 0.3)))]


def _all_routes(chain: str, _seconds: float) -> list[str]:
    token = tokens.mint()
    count = 10_000 if chain == ROUTES_10_000 else 10
    # every list has the same length, so that wrk does the same work
    lines = [f"GET /service-{i % count:05d}/orders/17 {token}" for i in range(10_000)]
    random.Random(17).shuffle(lines)
    return lines


def loads() -> list[Load]:
    compared = [NONE, GUARD, CACHED, NATIVE]

    def suffixed(suffix):
        return [NONE] + [name + suffix for name in compared[1:]]

    with_defaults = "GET, one token; permissions upstream, limit headers on the answer"
    forged = {"secret": tokens.WRONG_SECRET}
    return [
        Load("repeated", "GET, one token again and again", [NONE, EMPTY, GUARD, TRUSTED, CACHED, NATIVE], _one()),
        Load("fresh", "GET, a new token each request", [NONE, GUARD, TRUSTED, CACHED, NATIVE], _fresh, anew=True),
        Load("post", "POST with a JSON body, one token", compared, _one("POST"), bodies=True),
        Load("defaults", with_defaults, suffixed(DEFAULTS), _one()),
        Load("expired", "refused: expired token", compared, _one(ttl=-60, age=600), status=401),
        Load("forged", "refused: wrong signature", compared, _one(**forged), status=401),
        Load("limited", "refused: over the limit", suffixed(LIMITED), _one(), status=429),
        Load(
            "huge",
            "refused: forged token of 50 KB",
            compared,
            _one(size=50_000, **forged),
            status=401,
            charted=False,
        ),
        Load("two-workers", "GET, one token, two workers", compared, _one(), workers=2),
        Load("routes", "GET, one token, all routes in random order", [NONE, ROUTES_10, ROUTES_10_000], _all_routes),
        Load("revocations", "GET, one token, revocations alive", [NONE, REVOKED_0, REVOKED_60_000], _one(), life=3),
        Load("floor", "GET, one token; beside modules of host calls alone", [NONE, EMPTY, *FLOORS, GUARD, CACHED], _one(), usual=False),
        Load("host-calls", "what host calls cost in place", [NONE, EMPTY, *CALLS], _one(), usual=False),
    ]


@dataclass
class Target:
    """A ratio of added CPU per request that is promised."""

    load: str
    of: str
    to: str
    at_most: float
    rounds: list[float] = field(default_factory=list)  # the measured ratio of each round


def targets() -> list[Target]:
    return [
        Target("repeated", GUARD, CACHED, 0.80),
        Target("repeated", GUARD, NATIVE, 0.40),
        Target("fresh", GUARD, NATIVE, 0.60),
        Target("repeated", TRUSTED, CACHED, 0.80),
        Target("repeated", TRUSTED, NATIVE, 0.40),
        Target("fresh", TRUSTED, NATIVE, 0.60),
        Target("routes", ROUTES_10_000, ROUTES_10, 1.15),
        Target("revocations", REVOKED_60_000, REVOKED_0, 1.10),
    ]


MODULE_KIB_AT_MOST = 400
