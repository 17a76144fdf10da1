"""The modules that are built for comparison: the empty one, and those that do nothing but host calls."""

import subprocess
from pathlib import Path

from envoy import Failed

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]

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
    "headers, clock, stamp, address, added header": ("calls-lifecycle", "hcvaA"),
    "headers, clock, stamp, added header": ("calls-lifecycle", "hcvA"),
    "headers, clock, metric, added header": ("calls-lifecycle", "hcnA"),
    # For a header that Envoy's own configuration makes of filter state, which clears no choice of a route.
    "headers, clock, stamp, address, filter state": ("calls-lifecycle", "hcvap"),
    "headers, clock, stamp, address, added header, without create and delete": ("calls", "hcvaA"),
    "sixteen shared values of no bytes": ("calls", "v" * 16),
    "sixteen shared values of 32 bytes": ("calls", "g" * 16),
}
# What api-guard does at the least for a request that forwards the subject alone and tells no limit, with and without
# an address to ask for.
FLOORS = [
    "headers, clock, stamp, address, added header",
    "headers, clock, stamp, added header",
]
# The modules that are built for comparison: name -> (source, flags)
BUILT = {
    "empty": ("empty.rs", []),
    "calls": ("calls.rs", []),
    "calls-lifecycle": ("calls.rs", ["--cfg", "lifecycle"]),
    "calls-response": ("calls.rs", ["--cfg", "lifecycle", "--cfg", "response"]),
}


def build(folder: Path) -> dict[str, Path]:
    """All of `BUILT`, each from one file by plain rustc of the project's toolchain."""
    modules = {}
    for name, (source, flags) in BUILT.items():
        modules[name] = folder / f"{name}.wasm"
        command = ["rustc", "--edition", "2024", "--target", "wasm32-wasip1", "--crate-type", "cdylib", *flags]
        command += ["-C", "opt-level=3", "-C", "strip=symbols", str(HERE / source), "-o", str(modules[name])]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
        if done.returncode != 0:
            raise Failed(f"cannot build {source}:\n{done.stderr}")
    return modules
