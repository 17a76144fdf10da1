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
from load import CONNECTIONS_PER_WORKER, Run


def progress(load: plan.Load, number: int, rounds: int, latest: dict[str, Run]):
    words = ", ".join(f"{name} {run.cpu_us:.1f}" for name, run in latest.items())
    print(f"  {load.name} {number + 1}/{rounds}: {words}", flush=True)


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median and quartiles (the ends, where there are too few values for quartiles)."""
    ordered = sorted(values)
    if len(ordered) < 4:
        return statistics.median(ordered), ordered[0], ordered[-1]
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return statistics.median(ordered), low, high


def added(runs: dict[str, list[Run]], chain: str, base: str) -> list[float]:
    """CPU that the chain adds to a request, in us, round by round."""
    return [mine.cpu_us - bare.cpu_us for mine, bare in zip(runs[chain], runs[base], strict=True)]


def write(folder: Path, binary: str, options, results, footprint: dict, module: Path | None):
    """Writes results.json, results.md and chart.svg, and prints the table."""
    machine = describe_machine(binary)
    targets = judge(results)
    lines = ["# api-guard beside Envoy's own filters", ""]
    lines += [f"- {key}: {value}" for key, value in machine.items()]
    lines += [
        f"- rounds: {options.rounds} of {options.seconds:g} s of each chain, in turns of 0.1 s; one worker "
        f"on one core and {CONNECTIONS_PER_WORKER} connections unless said; upstream: a direct response",
        "- every figure: CPU of the Envoy process per request, in us; median of the rounds (quartiles); added: over no "
        "filter in the same round",
        "",
    ]
    lines += ["| load | chain | CPU/request | added | requests/s of one core |", "| --- | --- | ---: | ---: | ---: |"]
    bars: list[chart.Group] = []
    for load, runs in results:
        base = load.chains[0]
        group = chart.Group(load.title)
        for chain, all_runs in runs.items():
            total = statistics.median(run.cpu_us for run in all_runs)
            cell = ""
            if chain != base:
                middle, low, high = spread(added(runs, chain, base))
                cell = f"{middle:+.1f} ({low:.1f}..{high:.1f})"
                group.bars.append(chart.Bar(chain, middle, low, high))
            lines.append(f"| {load.title} | {chain} | {total:.1f} | {cell} | {1e6 / total:,.0f} |")
        if load.charted:
            bars.append(group)
    lines += before_lines(results)
    lines += ["", *footprint_lines(footprint, module), "", *target_lines(targets, module)]
    text = "\n".join(lines) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(text)
    (folder / "chart.svg").write_text(chart.draw("CPU added to a request by the filter chain, in us", bars))
    raw = {
        "machine": machine,
        "options": {"rounds": options.rounds, "seconds": options.seconds},
        "module_bytes": module.stat().st_size if module else None,
        "loads": {
            load.name: {chain: [asdict(run) for run in all_runs] for chain, all_runs in runs.items()}
            for load, runs in results
        },
        "footprint": footprint,
        "targets": [asdict(target) for target in targets],
    }
    (folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    print(f"\n{text}\nWritten to {folder}: results.md, results.json, chart.svg")


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


def judge(results) -> list[plan.Target]:
    """Fills in the measured ratios of the targets whose loads were run."""
    measured = {load.name: (load, runs) for load, runs in results}
    targets = plan.targets()
    for target in targets:
        load, runs = measured.get(target.load, (None, {}))
        if load is None or target.of not in runs or target.to not in runs:
            continue
        pairs = zip(added(runs, target.of, load.chains[0]), added(runs, target.to, load.chains[0]), strict=True)
        target.rounds = [of / to for of, to in pairs if to > 0]
    return targets


def before_lines(results) -> list[str]:
    """What changed from another build to this one: pairs of the same round, which is tighter than over no filter."""
    lines = []
    for load, runs in results:
        if plan.BEFORE in runs:
            middle, low, high = spread(added(runs, plan.GUARD, plan.BEFORE))
            lines.append(f"- {load.name}: this build less the one before: {middle:+.2f} us ({low:+.2f}..{high:+.2f})")
    return ["", *lines] if lines else []


def footprint_lines(footprint: dict, module: Path | None) -> list[str]:
    bare = footprint[plan.NONE]
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
    if module:
        lines += ["", f"The module: {module.stat().st_size:,} bytes."]
    return lines


def target_lines(targets: list[plan.Target], module: Path | None) -> list[str]:
    lines = ["| target: added CPU of | over that of | at most | measured (quartiles) | met |"]
    lines.append("| --- | --- | ---: | ---: | --- |")
    for target in targets:
        measured, verdict = "not measured", ""
        if target.rounds:
            middle, low, high = spread(target.rounds)
            measured = f"{middle:.2f} ({low:.2f}..{high:.2f})"
            verdict = "yes" if middle <= target.at_most else "NO"
        of = f"{target.of} ({target.load})"
        lines.append(f"| {of} | {target.to} | {target.at_most:.2f} | {measured} | {verdict} |")
    if module:
        kib = module.stat().st_size / 1024
        verdict = "yes" if kib <= plan.MODULE_KIB_AT_MOST else "NO"
        lines.append(f"| size of the module, KiB | | {plan.MODULE_KIB_AT_MOST} | {kib:.0f} | {verdict} |")
    return lines
