"""Packs what `make dist` has built into dist/: archives, the chart, an image layout (OCI), a bill of materials, checksums.

Nothing in them depends on the time, the user or the folder: two builds of one commit give the same bytes.
"""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile

DIST = pathlib.Path("dist")
CHART = pathlib.Path("charts/api-guard")
PAGE = pathlib.Path("crates/playground/page")


def tar(members):
    """A tar archive of (name, bytes, mode), with nothing of this machine in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, mode in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, 0
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def gzipped(content):
    return gzip.compress(content, 9, mtime=0)


def command(target, binary, extras):
    """The archive that people and `cargo binstall --git` download."""
    members = [("api-guard", binary.read_bytes(), 0o755)]
    members += [(path.name, path.read_bytes(), 0o644) for path in extras]
    (DIST / f"api-guard-{target}.tgz").write_bytes(gzipped(tar(members)))


def chart(version):
    """The Helm chart, as `helm package` calls it. Its files that are links into the sources are files here."""
    told = (CHART / "Chart.yaml").read_text().splitlines()
    for line in (f"version: {version}", f'appVersion: "{version}"'):
        if line not in told:
            sys.exit(f"{CHART}/Chart.yaml: it has another version than Cargo.toml; write {line}")
    # Helm takes the first file for what the archive is.
    files = sorted((path for path in CHART.rglob("*") if path.is_file()), key=lambda path: (path.name != "Chart.yaml", path))
    members = [(f"api-guard/{path.relative_to(CHART)}", path.read_bytes(), 0o644) for path in files]
    (DIST / f"api-guard-{version}.tgz").write_bytes(gzipped(tar(members)))


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def image(version, module):
    """The module as an image, as Istio and Envoy Gateway load it: a layout by the OCI image specification 1.1."""
    layer = tar([("plugin.wasm", module, 0o644)])
    packed = gzipped(layer)
    config = json.dumps({
        "architecture": "wasm",
        "os": "wasip1",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
    }, sort_keys=True).encode()
    described = lambda kind, content: {"mediaType": kind, "digest": digest(content), "size": len(content)}
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        "annotations": {
            "org.opencontainers.image.title": "api-guard",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    }, sort_keys=True).encode()
    entry = described("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": version}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}, sort_keys=True).encode()
    blobs = sorted((digest(blob).split(":")[1], blob) for blob in (config, packed, manifest))
    members = [(f"blobs/sha256/{name}", blob, 0o644) for name, blob in blobs]
    members += [("index.json", index, 0o644), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)]
    (DIST / "api-guard-image.tar").write_bytes(tar(members))
    (DIST / "api-guard-image.digest").write_text(entry["digest"] + "\n")


def scripts_of_the_page():
    """What npm brings into the page of the playground, which the command carries: components, and what depends on what."""
    locked = json.loads((PAGE / "package-lock.json").read_text())["packages"]
    used = {path.removeprefix("node_modules/"): one for path, one in locked.items() if path and not one.get("dev")}
    ref = lambda name: f"pkg:npm/{name.replace('@', '%40', 1)}@{used[name]['version']}"
    components = []
    for name, one in sorted(used.items()):
        described = {"type": "library", "bom-ref": ref(name), "purl": ref(name), "name": name, "version": one["version"]}
        if one.get("license"):
            described["licenses"] = [{"expression": one["license"]}]
        components.append(described)
    needs = lambda one: sorted(ref(name) for name in one.get("dependencies", {}) if name in used)
    dependencies = [{"ref": ref(name), "dependsOn": needs(one)} for name, one in sorted(used.items())]
    return components, dependencies, needs(locked[""])


def bill_of_materials():
    """Everything that is built into module, library, page and command, as CycloneDX 1.6."""
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True, text=True,
    ).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    depends = lambda one: [
        dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])
    ]
    # Nothing depends on the library, which is loaded by Envoy, and on the page; the command carries both.
    carried = {package["name"]: one for one, package in packages.items()}
    page = carried["api-guard-playground"]
    reached, waiting = set(), [root, carried["api-guard-envoy-native"], page]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += depends(one)
    ref = lambda one: f"pkg:cargo/{packages[one]['name']}@{packages[one]['version']}"

    def component(one, kind):
        package = packages[one]
        described = {"type": kind, "bom-ref": ref(one), "purl": ref(one), "name": package["name"],
                     "version": package["version"]}
        if package["license"]:
            described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        return described

    others = sorted(reached - {root}, key=ref)
    scripts, needs_of_scripts, scripts_needed = scripts_of_the_page()
    dependencies = [
        {"ref": ref(one), "dependsOn": sorted({*map(ref, depends(one)), *(scripts_needed if one == page else [])})}
        for one in sorted(reached, key=ref)
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root, "application")},
        "components": [component(one, "library") for one in others] + scripts,
        "dependencies": dependencies + needs_of_scripts,
    }
    (DIST / "api-guard.cdx.json").write_text(json.dumps(bill, indent=2) + "\n")
    return packages[root]["version"]


def sums():
    files = sorted(path for path in DIST.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(DIST)}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines))
    sys.stdout.write("".join(lines))


def main():
    # TARGET=BINARY for each command that was built; the first runs here.
    built = [argument.split("=", 1) for argument in sys.argv[1:]]
    said = lambda *words: subprocess.run([built[0][1], *words], check=True, capture_output=True).stdout
    (DIST / "api-guard.schema.json").write_bytes(said("schema"))
    (DIST / "api-guard.1").write_bytes(said("man"))
    for shell, name in (("bash", "api-guard.bash"), ("zsh", "_api-guard"), ("fish", "api-guard.fish")):
        (DIST / name).write_bytes(said("completions", shell))
    extras = [DIST / name for name in ("api-guard.1", "api-guard.bash", "_api-guard", "api-guard.fish")]
    extras += [pathlib.Path("LICENSE"), pathlib.Path("README.md")]
    for target, binary in built:
        command(target, pathlib.Path(binary), extras)
    version = bill_of_materials()
    chart(version)
    image(version, (DIST / "api_guard.wasm").read_bytes())
    sums()


if __name__ == "__main__":
    main()
