"""Adds CPython and Debian's libraries to a CycloneDX bill of the Python packages.

python bill_of_materials.py ROOT PACKAGES.json > BILL.json
"""

import json
import platform
import subprocess
import sys
from pathlib import Path


def debian_packages(root: Path) -> list[dict[str, str]]:
    """The packages that the libraries under `root` came from."""
    copied = {path.name for path in root.glob("lib*/**/*.so*") if path.is_file()}
    owners = subprocess.run(
        ["dpkg-query", "--search", *(f"*/{name}" for name in sorted(copied))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = sorted({line.partition(":")[0] for line in owners.splitlines()})
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${Architecture}\n", *names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    components = []
    for line in listing.splitlines():
        name, version, architecture = line.split()
        url = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={architecture}"
        components.append(component(name, version, url))
    return components


def component(name: str, version: str, url: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def main(root: Path, packages: Path) -> None:
    bill = json.loads(packages.read_text())
    python = platform.python_version()
    bill["components"] += [component("cpython", python, f"pkg:generic/cpython@{python}")]
    bill["components"] += debian_packages(root)
    json.dump(bill, sys.stdout, indent=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
