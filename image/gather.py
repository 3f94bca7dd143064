"""Gathers what an interpreter and its packages need to run into a new root directory.

    python gather.py ROOT PACKAGES

That is: CPython itself, every library that it or a package links to, and a root with /tmp and an
unnamed user. Run in a build stage; ROOT becomes the root of the image.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

NOT_NEEDED = ("ensurepip", "idlelib", "site-packages", "test", "tkinter", "turtledemo")
NOT_NEEDED += ("config-*", "_tkinter.*", "_test*", "_ctypes_test.*", "__pycache__")


def copy_interpreter(root: Path) -> None:
    """CPython at its own place, without installers, tests and graphical parts."""
    libraries = Path(sysconfig.get_path("stdlib"))
    copied = root / libraries.relative_to("/")
    shutil.copytree(libraries, copied, ignore=shutil.ignore_patterns(*NOT_NEEDED))
    executable = Path(sys.executable).resolve()
    (root / executable.relative_to("/")).parent.mkdir(parents=True)
    shutil.copy2(executable, root / executable.relative_to("/"))
    # `python`, which virtual environments point to, is a link to `python3.13`.
    for name in ("python", "python3"):
        (root / executable.relative_to("/")).with_name(name).symlink_to(executable.name)
    command = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(copied)]
    subprocess.run([sys.executable, *command], check=True)


def linked_libraries(*places: Path) -> set[Path]:
    """The libraries outside `places` that something in them links to, the loader included."""
    programs = [sys.executable]
    programs += [str(path) for place in places for path in place.rglob("*.so*") if path.is_file()]
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    if missing := set(re.findall(r"(\S+) => not found", told)):
        raise SystemExit(f"not found: {', '.join(sorted(missing))}")
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    return {path for path in found if not any(path.is_relative_to(place) for place in places)}


def main(root: Path, packages: Path) -> None:
    copy_interpreter(root)
    for library in linked_libraries(packages, root):
        copied = root / library.relative_to("/")
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, copied)  # follows links: one file under the name that is looked for
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("nextlabel:x:65532:65532::/tmp:/\n")
    (root / "etc/group").write_text("nextlabel:x:65532:\n")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copytree("/etc/ld.so.conf.d", root / "etc/ld.so.conf.d")
    shutil.copy2("/etc/ld.so.conf", root / "etc")
    subprocess.run(["ldconfig", "-r", str(root)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
