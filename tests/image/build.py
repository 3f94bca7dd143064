"""Builds the image with buildah where no registry of images is in reach; prints its name.

    sudo python -m tests.image.build

A stand-in for the Dockerfile's base is made of Debian's packages and of a CPython on this machine.
Everything stays in the directory STORE.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORE = ROOT / ".image"
BASE = "docker.io/library/python:3.13-slim-bookworm"
IMAGE = "localhost/nextlabel:test"

# What python:3.13-slim-bookworm has beside CPython, as far as CPython links to it.
PACKAGES = "ca-certificates,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8"
PACKAGES += ",libsqlite3-0,libssl3,libstdc++6,libuuid1,zlib1g"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

TOOLS = ("buildah", "podman", "runc", "mmdebstrap", "netavark", "iptables")

# What works without systemd, and in a machine that is itself a container.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def missing() -> str:
    """Why an image cannot be built and run here; empty when it can."""
    places = f"{os.environ['PATH']}:/usr/lib/podman:/usr/sbin:/sbin"
    absent = [tool for tool in TOOLS if not shutil.which(tool, path=places)]
    if absent:
        return f"{', '.join(absent)} not installed"
    return "" if os.geteuid() == 0 else "building and running an image here takes root"


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Runs buildah or podman on the images of STORE; raises when it fails."""
    configuration = STORE / "containers.conf"
    command = [tool, "--root", STORE / "storage", "--runroot", STORE / "run", *arguments]
    done = subprocess.run(
        [str(each) for each in command],
        cwd=STORE,  # where conmon leaves a file when memory runs out
        env={**os.environ, "CONTAINERS_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr}")
    return done


def cpython() -> Path:
    """The prefix of a CPython of the base's version, or else of the one that runs this."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    return next(versions.glob("3.13.*"), Path(sys.base_prefix))


def build_base() -> None:
    context = STORE / "base"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    debian = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", "bookworm"]
    subprocess.run([*debian, context / "debian.tar"], check=True)
    unwanted = shutil.ignore_patterns(
        "test", "__pycache__", "*.a", "tkinter", "_tkinter.*", "site-packages"
    )
    shutil.copytree(cpython(), context / "cpython", symlinks=True, ignore=unwanted)
    shutil.copy(CERTIFICATES, context / "certificates.crt")
    (context / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
    (context / "Dockerfile").write_text(
        "FROM scratch\n"
        "ADD debian.tar /\n"
        "COPY cpython /usr/local\n"
        f"COPY certificates.crt {CERTIFICATES}\n"
        "COPY pip.conf /etc/pip.conf\n"
        "RUN ldconfig && python3 -m ensurepip --default-pip\n"
    )
    run("buildah", "bud", "--tag", BASE, context)
    shutil.rmtree(context)


def build() -> None:
    STORE.mkdir(exist_ok=True)
    (STORE / "containers.conf").write_text(CONTAINERS_CONF)
    if BASE not in run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").stdout:
        build_base()
    run("buildah", "bud", "--network", "host", "--pull-never", "--layers", "--tag", IMAGE, ROOT)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"no image: {reason}")
    build()
    print(IMAGE)  # noqa: T201
