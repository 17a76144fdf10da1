"""Which kinds of api-guard are there, how does each come into Envoy, and what is promised of each?"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import chains
from envoy import Failed

CACHED, NATIVE, NONE, EMPTY = "native with cache", "native", "no filter", "empty module"
# What may follow the name of a kind's chain: another policy, or another file.
TRUSTED = ", address from x-envoy-external-address"
LIMITED = " over the limit"
ROUTES_10, ROUTES_10_000 = ", 10 routes", ", 10,000 routes"
REVOKED_0, REVOKED_60_000 = ", 0 revocations", ", 60,000 revocations"
# An issuer with public keys; the first with the tokens of the secret beside it.
HS256, RS256, KEYS_100 = ", HS256 beside a key set", ", RS256", ", RS256 of 100 keys"
SHARED = ", limit of a fleet"
BEFORE = ", before"  # another build, to see what a change brought

POLICIES: dict[str, dict] = {
    "": {},
    TRUSTED: {"trusted": True},
    LIMITED: {"requests": chains.FEW, "window": chains.LONG_WINDOW_SECONDS},
    ROUTES_10: {"routes": chains.numbered_routes(10)},
    ROUTES_10_000: {"routes": chains.numbered_routes(10_000)},
    HS256: {"public_keys": 1},
    RS256: {"public_keys": 1},
    KEYS_100: {"public_keys": 100},
    REVOKED_0: {"revocation": True},
    REVOKED_60_000: {"revocation": True},
    SHARED: {"fleet": True},
}


@dataclass(frozen=True)
class Kind:
    """One way to build api-guard into Envoy."""

    name: str  # as `BENCH_KIND` says it
    chain: str  # the name of its chain
    filters: Callable[[Path, str], list[dict]]  # (its file, the configuration as JSON) -> HTTP filters
    kib_at_most: int | None  # the size promised of its file

    def build(self, chain: str, files: dict[str, Path]) -> list[dict]:
        """The HTTP filters of a chain of this kind; `files` holds this kind's by its name, and that of `BEFORE`."""
        before = BEFORE if chain.endswith(BEFORE) else ""
        policy = chains.guard_policy(**POLICIES[chain.removeprefix(self.chain).removesuffix(before)])
        return self.filters(files[self.name + before], json.dumps(policy))


KINDS = [
    Kind("library", "api-guard library", lambda file, policy: chains.library(file, "api-guard", policy), None),
    Kind("module", "api-guard module", lambda file, policy: chains.wasm(file, "api-guard", policy), 480),
]

# Loads whose promise is of the microseconds that a request takes more than beside the other chain, and not of a ratio.
IN_MICROSECONDS = ("fleet",)

# (load, what follows the chain's name, beside which chain, at most for each kind): a ratio of the CPU added over no
# filter; beside no filter, the points of percent added.
PROMISES: list[tuple[str, str, str, dict[str, float]]] = [
    ("repeated", "", CACHED, {"library": 0.50, "module": 1.00}),
    ("repeated", "", NATIVE, {"library": 0.26, "module": 0.50}),
    ("fresh", "", NATIVE, {"library": 0.42, "module": 0.70}),
    ("post", "", CACHED, {"library": 0.60, "module": 1.25}),
    ("limited", LIMITED, CACHED + LIMITED, {"library": 0.65, "module": 1.50}),
    ("expired", "", NATIVE, {"library": 0.55, "module": 1.20}),
    ("waiting", "", NONE, {"library": 0.10, "module": 0.50}),
    ("routes", ROUTES_10_000, ROUTES_10, {"library": 1.15, "module": 1.15}),
    ("key-sets", KEYS_100, RS256, {"library": 1.05, "module": 1.05}),
    ("revocations", REVOKED_60_000, REVOKED_0, {"library": 1.10, "module": 1.10}),
    ("fleet", SHARED, "", {"library": 3.00, "module": 3.00}),
]


@dataclass(frozen=True)
class Target:
    """What is promised of one kind under one load: `of` beside `to`, both names of chains."""

    load: str
    of: str
    to: str
    at_most: float

    @property
    def unit(self) -> str:
        """Of what is promised; nothing for a ratio."""
        if self.load in IN_MICROSECONDS:
            return "us"
        return "points" if self.to == NONE else ""

    def before(self) -> "Target":
        """The same of the build before."""
        to = self.to + BEFORE if kind_of(self.to) else self.to
        return Target(self.load, self.of + BEFORE, to, self.at_most)


def targets(kinds: list[Kind]) -> list[Target]:
    """The promises of these kinds, in the order of the loads."""
    found = []
    for load, suffix, beside, at_most in PROMISES:
        for kind in kinds:
            to = kind.chain + beside if beside in POLICIES else beside
            found.append(Target(load, kind.chain + suffix, to, at_most[kind.name]))
    return found


def kind_of(chain: str) -> Kind | None:
    """The kind that this chain is of, or None: it is one that api-guard is compared with."""
    return next((kind for kind in KINDS if chain.startswith(kind.chain)), None)


def chosen() -> list[Kind]:
    """The kinds that `BENCH_KIND` names (comma-separated, `none`: what they are compared with, alone), else all."""
    words = os.environ.get("BENCH_KIND")
    if not words:
        return KINDS
    if words == "none":
        return []
    wanted, known = words.split(","), [kind.name for kind in KINDS]
    if unknown := set(wanted) - set(known):
        raise Failed(f"BENCH_KIND: no such kind: {', '.join(sorted(unknown))}; there are {', '.join(known)}, none")
    return [kind for kind in KINDS if kind.name in wanted]
