"""Packs what `make dist` has built into dist/: archives, an image layout (OCI), a bill of materials, checksums.

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


def bill_of_materials():
    """Everything that is built into module, library and command, as CycloneDX 1.6."""
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True, text=True,
    ).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    depends = lambda one: [
        dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])
    ]
    # Nothing depends on the library, which is loaded by Envoy and carried by the command.
    library = next(one for one, package in packages.items() if package["name"] == "api-guard-envoy-native")
    reached, waiting = set(), [root, library]
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
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root, "application")},
        "components": [component(one, "library") for one in others],
        "dependencies": [
            {"ref": ref(one), "dependsOn": sorted(set(map(ref, depends(one))))} for one in sorted(reached, key=ref)
        ],
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
    image(version, (DIST / "api_guard.wasm").read_bytes())
    sums()


main()
