"""From runs to words: medians and spread of the paired rounds, the table, the targets and the files."""

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import chart
import plan
from kinds import BEFORE, NONE, Target, targets
from load import CONNECTIONS_PER_WORKER, SLOW_CONNECTIONS, WAITING_SECONDS, Run

Results = list[tuple[plan.Load, dict[str, list[Run]]]]


def progress(load: plan.Load, number: int, rounds: int, latest: dict[str, Run]):
    digits = 1 if load.unit == "us" else 2
    words = ", ".join(f"{name} {run.cpu:.{digits}f}" for name, run in latest.items())
    print(f"  {load.name} {number + 1}/{rounds}: {words}", flush=True)


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median and quartiles (the ends, where there are too few values for quartiles)."""
    ordered = sorted(values)
    if len(ordered) < 4:
        return statistics.median(ordered), ordered[0], ordered[-1]
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return statistics.median(ordered), low, high


def added(runs: dict[str, list[Run]], chain: str, base: str) -> list[float]:
    """CPU that the chain adds, in the unit of the load, round by round."""
    return [mine.cpu - bare.cpu for mine, bare in zip(runs[chain], runs[base], strict=True)]


def write(bench, footprint: dict):
    """Writes results.json, results.md and chart.svg, and prints the table."""
    options, folder, results = bench.options, bench.folder, bench.results
    machine = describe_machine(bench.binary)
    promised = [(t, measured(results, t), measured(results, t.before())) for t in targets(bench.kinds)]
    lines = ["# api-guard beside Envoy's own filters", ""]
    lines += [f"- {key}: {value}" for key, value in machine.items()]
    lines += [
        f"- rounds: {options.rounds} of {options.seconds:g} s of each chain, in turns of 0.1 s; one worker "
        f"on one core and {CONNECTIONS_PER_WORKER} connections; the upstream is a direct response",
        f"- where the upstream takes its time: one chain after another and {SLOW_CONNECTIONS} connections; where it never "
        f"answers: all chains at once, for {WAITING_SECONDS:g} s of each round",
        "- every figure: CPU of the Envoy process, per request unless said; median of the rounds (quartiles); added: "
        "over no filter in the same round",
        "",
    ]
    lines += load_lines(results) + before_lines(results)
    lines += ["", *footprint_lines(footprint), "", *size_lines(bench), *target_lines(promised, bench)]
    text = "\n".join(lines) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(text)
    bars = [bars_of(load, runs) for load, runs in results if load.charted]
    (folder / "chart.svg").write_text(chart.draw("CPU added to a request by the filter chain, in us", bars))
    raw = {
        "machine": machine,
        "options": {"rounds": options.rounds, "seconds": options.seconds},
        "bytes": {name: path.stat().st_size for name, path in bench.files.items()},
        "units": {load.name: load.unit for load, _ in results},
        "loads": {
            load.name: {chain: [asdict(run) for run in all_runs] for chain, all_runs in runs.items()}
            for load, runs in results
        },
        "footprint": footprint,
        "targets": [asdict(target) | {"rounds": now, "rounds_before": before} for target, now, before in promised],
    }
    (folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    print(f"\n{text}\nWritten to {folder}: results.md, results.json, chart.svg")


def load_lines(results: Results) -> list[str]:
    """What each chain takes under each load."""
    lines = ["| load | chain | CPU | added | requests/s of one core |", "| --- | --- | ---: | ---: | ---: |"]
    for load, runs in results:
        for chain, all_runs in runs.items():
            total = statistics.median(run.cpu for run in all_runs)
            digits, share = (1, f"{1e6 / total:,.0f}") if load.unit == "us" else (2, "")
            cell = ""
            if chain != load.chains[0]:
                middle, low, high = spread(added(runs, chain, load.chains[0]))
                cell = f"{middle:+.{digits}f} ({low:.{digits}f}..{high:.{digits}f})"
            unit = "us" if load.unit == "us" else "%"
            lines.append(f"| {load.title} | {chain} | {total:.{digits}f} {unit} | {cell} | {share} |")
    return lines


def bars_of(load: plan.Load, runs: dict[str, list[Run]]) -> chart.Group:
    group = chart.Group(load.title)
    for chain in list(runs)[1:]:
        group.bars.append(chart.Bar(chain, *spread(added(runs, chain, load.chains[0]))))
    return group


def describe_machine(binary: str) -> dict[str, str]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].split(":", 1)[1].strip() if models else platform.machine()
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("Copyright")[0].strip()
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "machine": f"{cpu}, {len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}",
        "kernel": f"{platform.system()} {platform.release()}",
        "Envoy": next((part for part in version.split("/") if part[:1].isdigit() and "." in part), version.strip()),
        "load generator": wrk,
    }


def measured(results: Results, target: Target) -> list[float]:
    """The promised figure round by round: a ratio of what is added, or what is added over one chain."""
    for load, runs in results:
        if load.name == target.load and target.of in runs and target.to in runs:
            if target.unit == "us":
                return added(runs, target.of, target.to)
            mine = added(runs, target.of, load.chains[0])
            if target.to == NONE:
                return mine
            return [of / to for of, to in zip(mine, added(runs, target.to, load.chains[0]), strict=True) if to > 0]
    return []


def before_lines(results: Results) -> list[str]:
    """What changed from another build to this one: pairs of the same round, which is tighter than over no filter."""
    lines = []
    for load, runs in results:
        for chain in runs:
            if chain + BEFORE in runs:
                middle, low, high = spread(added(runs, chain, chain + BEFORE))
                change = f"{middle:+.2f} {load.unit} ({low:+.2f}..{high:+.2f})"
                lines.append(f"| {load.name} | {chain} | {change} |")
    return ["", "| load | chain | this build less the one before |", "| --- | --- | ---: |", *lines] if lines else []


def footprint_lines(footprint: dict) -> list[str]:
    bare = footprint[NONE]
    lines = [
        "| chain | start until ready, ms | over no filter | resident, MiB | over no filter | after the loads, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in footprint.items():
        start = statistics.median(found["load_seconds"]) * 1000
        memory = statistics.median(found["resident_kib"]) / 1024
        start_over = start - statistics.median(bare["load_seconds"]) * 1000
        memory_over = memory - statistics.median(bare["resident_kib"]) / 1024
        loaded = f"{found['loaded_kib'] / 1024:.1f}" if found["loaded_kib"] else ""
        lines.append(f"| {name} | {start:.0f} | {start_over:+.0f} | {memory:.1f} | {memory_over:+.1f} | {loaded} |")
    return lines


def size_lines(bench) -> list[str]:
    return [line for name, path in bench.files.items() for line in (f"The {name}: {path.stat().st_size:,} bytes.", "")]


def target_lines(promised: list[tuple[Target, list[float], list[float]]], bench) -> list[str]:
    """Each promise beside what was measured, of the build before too where it was measured."""
    lines = ["| target: added CPU of | over that of | at most | measured (quartiles) | met | before |"]
    lines.append("| --- | --- | ---: | ---: | --- | ---: |")
    for target, now, before in promised:
        verdict = ("yes" if statistics.median(now) <= target.at_most else "NO") if now else ""
        cells = [f"{target.of} ({target.load})", "" if target.to == NONE else target.to]
        cells.append(f"{target.at_most:.2f} {target.unit}".rstrip())
        cells += [said(now) or "not measured", verdict, said(before)]
        lines.append(f"| {' | '.join(cells)} |")
    for kind in bench.kinds:
        now, before = (bench.files.get(kind.name + build) for build in ("", BEFORE))
        if kind.kib_at_most and now:
            verdict = "yes" if kib(now) <= kind.kib_at_most else "NO"
            was = f"{kib(before):.0f}" if before else ""
            cells = [f"size of the {kind.name}, KiB", "", str(kind.kib_at_most), f"{kib(now):.0f}", verdict, was]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def said(rounds: list[float]) -> str:
    if not rounds:
        return ""
    middle, low, high = spread(rounds)
    return f"{middle:.2f} ({low:.2f}..{high:.2f})"


def kib(file: Path) -> float:
    return file.stat().st_size / 1024
