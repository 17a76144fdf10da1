#!/usr/bin/env python3
"""`make bench-envoy`: what does api-guard cost a request, beside Envoy's own filters doing the same?

Runs the same Envoy binary with different chains, one core each, interleaved, and takes CPU per request from the
operating system's accounting of the Envoy process. Writes a table, a chart and the raw numbers to dist/bench/.
"""

import argparse
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import built
import chains
import plan
import report
import smoke
import store
from envoy import Envoy, Failed, find_envoy, slug
from kinds import BEFORE, CACHED, EMPTY, KEYS_100, LIMITED, NONE, REVOKED_60_000, RS256, SHARED, Kind, chosen, kind_of
from load import Run, in_turns
from upstream import Silent, Slow, raise_file_limit

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]


def arguments(loads: list[plan.Load]) -> argparse.Namespace:
    names = [load.name for load in loads]
    end = f"Loads: {', '.join(names)}. BENCH_KIND narrows the kinds of api-guard that are measured (none: none)."
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=end)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each load (9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of each chain in each round (1)")
    parser.add_argument("--quick", action="store_true", help="2 short rounds: does it run, not what it costs")
    parser.add_argument("--only", metavar="LOADS", help="comma-separated names of loads")
    parser.add_argument("--module", type=Path, default=PROJECT / "dist/api_guard.wasm", help="the module to measure")
    parser.add_argument("--library", type=Path, default=PROJECT / "dist/libapi_guard.so", help="the library to measure")
    parser.add_argument("--against", type=Path, metavar="MODULE", help="another build to measure in the same rounds")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist/bench", help="where the results go")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 0.4
    options.only = options.only.split(",") if options.only else [load.name for load in loads if load.usual]
    if unknown := set(options.only) - set(names):
        parser.error(f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above zero")
    return options


def files_of(options: argparse.Namespace, kinds: list[Kind]) -> dict[str, Path]:
    """The file of each kind by its name, and of the build before, where there is one."""
    given = {"module": options.module, f"module{BEFORE}": options.against, "library": options.library}
    wanted = {kind.name for kind in kinds}
    files = {name: path.resolve() for name, path in given.items() if path and name.removesuffix(BEFORE) in wanted}
    for name, path in files.items():
        if not path.is_file():
            raise Failed(f"{path} is missing: make {'native' if name == 'library' else 'build'}")
    return files


class Bench:
    """The running Envoys, each started when first needed, and what has been measured."""

    def __init__(self, options: argparse.Namespace, kinds: list[Kind], stack: ExitStack):
        self.options = options
        self.kinds = kinds
        self.files = files_of(options, kinds)
        self.stack = stack
        self.binary = find_envoy()
        self.folder = options.out
        self.work = options.out / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.modules = built.build(self.work)
        self.slow: Slow | None = None
        self.store: store.Store | None = None
        self.envoys: dict[tuple, Envoy] = {}
        self.silent: dict[tuple, Silent] = {}
        self.results: list[tuple[plan.Load, dict[str, list[Run]]]] = []
        stack.callback(self.stop_all)

    def start(self, chain: str, workers=1, bodies=False, upstream_port=None, name: str | None = None) -> Envoy:
        filters = plan.filters(chain, self.modules | self.files)
        store_port = self.store_port() if SHARED in chain else None
        return Envoy(
            self.binary,
            lambda port, admin: chains.bootstrap(filters, port, admin, bodies, upstream_port, store_port),
            name or f"{chain}{' bodies' if bodies else ''}{f' {workers} workers' if workers > 1 else ''}",
            self.work,
            workers,
        )

    def chains_of(self, load: plan.Load) -> list[str]:
        """The load's chains, each of api-guard followed by the same of the build before."""
        names = []
        for chain in load.chains:
            kind = kind_of(chain)
            names += [chain, chain + BEFORE] if kind and kind.name + BEFORE in self.files else [chain]
        return names

    def envoy(self, chain: str, load: plan.Load) -> Envoy:
        """The Envoy for this chain, checked to enforce what it should; one process for all loads that can share it."""
        key = self.key(chain, load)
        if key not in self.envoys:
            envoy = self.start(chain, load.workers, load.bodies, self.upstream_port(key, load.upstream))
            self.envoys[key] = envoy
            if LIMITED in chain:
                smoke.exhaust(envoy)
            elif chain not in (NONE, EMPTY, *built.CALLS) and load.name != "routes":
                public = chain.endswith((RS256, KEYS_100))
                smoke.check(envoy, permissions=kind_of(chain) is not None, public=public)
            if REVOKED_60_000 in chain:
                smoke.revoke(envoy, plan.REVOCATIONS)
        return self.envoys[key]

    @staticmethod
    def key(chain: str, load: plan.Load) -> tuple:
        """What two loads must share to share a process."""
        return (chain, load.workers, load.bodies, load.upstream)

    def upstream_port(self, key: tuple, upstream: plan.Upstream) -> int | None:
        if upstream is plan.Upstream.SILENT:
            self.silent[key] = Silent()
            return self.silent[key].port
        if upstream is plan.Upstream.SLOW:
            self.slow = self.slow or Slow(self.binary, self.work)
            return self.slow.port
        return None

    def store_port(self) -> int:
        program = store.find()
        if not program:
            raise Failed("no redis-server and no valkey-server")
        self.store = self.store or store.Store(program, self.work)
        return self.store.port

    def measure(self, load: plan.Load):
        names = self.chains_of(load)
        if len(names) < 2:
            return
        if load.store and not store.find():
            print(f"  {load.name}: SKIPPED, because this machine has none of {', '.join(store.PROGRAMS)}", flush=True)
            return
        envoys = {name: self.envoy(name, load) for name in names}
        runs: dict[str, list[Run]] = {name: [] for name in names}
        files: dict[str, Path] = {}
        # A process has its luck: where its memory lies makes it faster or slower by more than some of the ratios that
        # are asked for, for as long as it lives. So each chain gets a new one in every round; but where 60,000
        # revocations are to be told to it first.
        for number in range(self.options.rounds):
            if number > 0 and number % load.life == 0:
                self.stop(load)
                envoys = {name: self.envoy(name, load) for name in names}
            self.one_round_of(load, envoys, files, runs, number)
        if load.upstream is not plan.Upstream.AT_ONCE:
            self.stop(load)
        self.results.append((load, runs))

    def stop(self, load: plan.Load):
        """Ends the Envoys of this load; the next one to be asked for is a new process."""
        for name in self.chains_of(load):
            self.end(self.key(name, load))

    def end(self, key: tuple):
        for ended in (self.envoys.pop(key, None), self.silent.pop(key, None)):
            if ended:
                ended.stop()

    def stop_all(self):
        for key in list(self.envoys):
            self.end(key)
        for upstream in (self.slow, self.store):
            if upstream:
                upstream.stop()

    def one_round_of(
        self, load: plan.Load, envoys: dict[str, Envoy], files: dict[str, Path], runs: dict[str, list[Run]], number: int
    ):
        names = list(envoys)
        order = names[number % len(names) :] + names[: number % len(names)]
        passes = [(False, self.options.seconds)]
        if load.drive is in_turns:
            passes.insert(0, (True, 0.3))
        for warming, seconds in passes:
            for name in names:
                if load.anew or name not in files:
                    files[name] = self.write_requests(load, name, seconds, shared=files.get(names[0]))
            done = load.drive([envoys[n] for n in order], [files[n] for n in order], seconds, load.workers)
            for name, run in zip(order, done, strict=True):
                self.verify(load, name, run)
                if not warming:
                    runs[name].append(run)
            if load.anew:
                files.clear()
        report.progress(load, number, self.options.rounds, {name: of_chain[-1] for name, of_chain in runs.items()})

    def write_requests(self, load: plan.Load, chain: str, seconds: float, shared: Path | None) -> Path:
        if shared and load.name not in ("routes", "key-sets"):
            return shared
        path = self.work / f"{load.name}-{slug(chain)}.txt"
        path.write_text("\n".join(load.requests(chain, seconds)) + "\n")
        return path

    def verify(self, load: plan.Load, chain: str, run: Run):
        """That every request was answered as this load is about, or the figure would be of something else."""
        refused = run.requests if load.status >= 400 and chain not in (NONE, EMPTY) else 0
        if run.refused != refused:
            raise Failed(f"{load.name}: `{chain}` refused {run.refused} of {run.requests} requests, not {refused}")
        if SHARED in chain and (without := smoke.without_the_store(self.envoy(chain, load))):
            raise Failed(f"{load.name}: `{chain}` admitted {without} requests without the store")
        if load.anew and chain != NONE and run.wraps > 1:
            raise Failed(f"{load.name}: `{chain}` was faster than tokens were minted; raise the number in plan.py")

    def footprint(self) -> dict[str, dict]:
        """Load time and resident memory of fresh processes, started in turns; memory under load from those measured."""
        names = [NONE, EMPTY, CACHED, *(kind.chain for kind in self.kinds)]
        found: dict[str, dict] = {name: {"load_seconds": [], "resident_kib": [], "loaded_kib": None} for name in names}
        for _ in range(2 if self.options.quick else 5):
            for name in names:
                envoy = self.start(name, name=f"{name} started")
                try:
                    time.sleep(0.2)
                    found[name]["load_seconds"].append(envoy.load_seconds)
                    found[name]["resident_kib"].append(envoy.resident_kib())
                finally:
                    envoy.stop()
        for name in names:
            loaded = self.envoys.get((name, 1, False, plan.Upstream.AT_ONCE))
            found[name]["loaded_kib"] = loaded.resident_kib() if loaded else None
        return found


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started it in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        kinds = chosen()
        loads = plan.loads(kinds)
        options = arguments(loads)
        if not shutil.which("wrk"):
            raise Failed("wrk is missing: apt-get install wrk (or brew, dnf, ...)")
        raise_file_limit()
        with ExitStack() as stack:
            bench = Bench(options, kinds, stack)
            for load in loads:
                if load.name in options.only:
                    bench.measure(load)
            report.write(bench, bench.footprint())
        return 0
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
