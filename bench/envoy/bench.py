#!/usr/bin/env python3
"""`make bench-envoy`: what does api-guard cost a request, beside Envoy's own filters doing the same?

Runs the same Envoy binary with different chains, one core each, interleaved, and takes CPU per request from the
operating system's accounting of the Envoy process. Writes a table, a chart and the raw numbers to dist/bench/.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import chains
import plan
import report
import smoke
from envoy import Envoy, Failed, find_envoy
from load import Run, one_round

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]


def arguments() -> argparse.Namespace:
    names = [load.name for load in plan.loads()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="Loads: " + ", ".join(names))
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each load (9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of each chain in each round (1)")
    parser.add_argument("--quick", action="store_true", help="2 short rounds: does it run, not what it costs")
    parser.add_argument("--only", metavar="LOADS", help="comma-separated names of loads")
    parser.add_argument("--module", type=Path, default=PROJECT / "dist/api_guard.wasm", help="the module to measure")
    parser.add_argument("--against", type=Path, metavar="MODULE", help="another build to compare it with")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist/bench", help="where the results go")
    parser.add_argument("--without-module", action="store_true", help="measure the other chains alone")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 0.4
    options.only = options.only.split(",") if options.only else [load.name for load in plan.loads() if load.usual]
    if unknown := set(options.only) - set(names):
        parser.error(f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above zero")
    return options


def build_modules(folder: Path) -> dict[str, Path]:
    """The modules for comparison, each built from one file by plain rustc of the project's toolchain."""
    modules = {}
    for name, (source, flags) in plan.BUILT.items():
        modules[name] = folder / f"{name}.wasm"
        command = ["rustc", "--edition", "2024", "--target", "wasm32-wasip1", "--crate-type", "cdylib", *flags]
        command += ["-C", "opt-level=3", "-C", "strip=symbols", str(HERE / source), "-o", str(modules[name])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
        if done.returncode != 0:
            raise Failed(f"cannot build {source}:\n{done.stderr}")
    return modules


class Bench:
    """The running Envoys, each started when first needed, and what has been measured."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack):
        self.options = options
        self.stack = stack
        self.binary = find_envoy()
        self.folder = options.out
        self.work = options.out / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.modules = build_modules(self.work) | {plan.GUARD: options.module.resolve()}
        if options.against:
            self.modules[plan.BEFORE] = options.against.resolve()
        self.envoys: dict[tuple, Envoy] = {}
        self.results: list[tuple[plan.Load, dict[str, list[Run]]]] = []

    def start(self, chain: str, workers=1, bodies=False, name: str | None = None) -> Envoy:
        filters = plan.filters(chain, self.modules)
        return Envoy(
            self.binary,
            lambda port, admin: chains.bootstrap(filters, port, admin, bodies),
            name or f"{chain}{' bodies' if bodies else ''}{f' {workers} workers' if workers > 1 else ''}",
            self.work,
            workers,
        )

    def chains_of(self, load: plan.Load) -> list[str]:
        if self.options.without_module:
            return [chain for chain in load.chains if not chain.startswith(plan.GUARD)]
        if self.options.against and plan.GUARD in load.chains:
            return [*load.chains, plan.BEFORE]
        return load.chains

    def envoy(self, chain: str, load: plan.Load) -> Envoy:
        """The Envoy for this chain, checked to enforce what it should; one process for all loads that can share it."""
        key = (chain, load.workers, load.bodies)
        if key not in self.envoys:
            envoy = self.start(*key)
            self.envoys[key] = envoy
            self.stack.callback(envoy.stop)
            if chain in (plan.NONE, plan.EMPTY, *plan.CALLS) or load.name == "routes":
                pass
            elif chain.endswith(plan.LIMITED):
                smoke.exhaust(envoy)
            else:
                smoke.check(envoy, defaults=chain.endswith(plan.DEFAULTS))
            if chain == plan.REVOKED_60_000:
                smoke.revoke(envoy, plan.REVOCATIONS)
        return self.envoys[key]

    def measure(self, load: plan.Load):
        names = self.chains_of(load)
        if len(names) < 2:
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
        self.results.append((load, runs))

    def stop(self, load: plan.Load):
        """Ends the Envoys of this load; the next one to be asked for is a new process."""
        for name in self.chains_of(load):
            envoy = self.envoys.pop((name, load.workers, load.bodies), None)
            if envoy:
                envoy.stop()

    def one_round_of(
        self, load: plan.Load, envoys: dict[str, Envoy], files: dict[str, Path], runs: dict[str, list[Run]], number: int
    ):
        names = list(envoys)
        order = names[number % len(names) :] + names[: number % len(names)]
        for warming, seconds in ((True, 0.3), (False, self.options.seconds)):
            for name in names:
                if load.anew or name not in files:
                    files[name] = self.write_requests(load, name, seconds, shared=files.get(names[0]))
            done = one_round([envoys[n] for n in order], [files[n] for n in order], seconds, load.workers)
            for name, run in zip(order, done, strict=True):
                self.verify(load, name, run)
                if not warming:
                    runs[name].append(run)
            if load.anew:
                files.clear()
        report.progress(load, number, self.options.rounds, {name: of_chain[-1] for name, of_chain in runs.items()})

    def write_requests(self, load: plan.Load, chain: str, seconds: float, shared: Path | None) -> Path:
        if shared and load.name != "routes":
            return shared
        path = self.work / f"{load.name}-{len(chain)}.txt"
        path.write_text("\n".join(load.requests(chain, seconds)) + "\n")
        return path

    def verify(self, load: plan.Load, chain: str, run: Run):
        """That every request was answered as this load is about, or the figure would be of something else."""
        refused = run.requests if load.status >= 400 and chain not in (plan.NONE, plan.EMPTY) else 0
        if run.refused != refused:
            raise Failed(f"{load.name}: `{chain}` refused {run.refused} of {run.requests} requests, not {refused}")
        if load.anew and chain != plan.NONE and run.wraps > 1:
            raise Failed(f"{load.name}: `{chain}` was faster than tokens were minted; raise the number in plan.py")

    def footprint(self) -> dict[str, dict]:
        """Load time and resident memory of fresh processes, started in turns; memory under load from those measured."""
        names = [plan.NONE, plan.EMPTY, plan.CACHED] + ([] if self.options.without_module else [plan.GUARD])
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
            if (name, 1, False) in self.envoys:
                found[name]["loaded_kib"] = self.envoys[(name, 1, False)].resident_kib()
        return found


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started it in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if not shutil.which("wrk"):
            raise Failed("wrk is missing: apt-get install wrk (or brew, dnf, ...)")
        if not options.without_module and not options.module.is_file():
            raise Failed(f"{options.module} is missing: make build")
        if options.against and not options.against.is_file():
            raise Failed(f"{options.against} is missing")
        with ExitStack() as stack:
            bench = Bench(options, stack)
            for load in plan.loads():
                if load.name in options.only:
                    bench.measure(load)
            footprint = bench.footprint()
            module = None if options.without_module else options.module
            report.write(bench.folder, bench.binary, options, bench.results, footprint, module)
        return 0
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
