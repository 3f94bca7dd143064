"""What this process may use: processors and memory, by quota rather than by host."""

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def usable_cpus(root: Path = ROOT) -> int:
    """Processors by affinity and cgroup quota (v2 or v1), rounded down, at least 1."""
    cpus = len(os.sched_getaffinity(0))
    quota = _numbers(root / "cpu.max")
    if not quota:
        quota = _numbers(root / "cpu/cpu.cfs_quota_us") + _numbers(root / "cpu/cpu.cfs_period_us")
    if len(quota) == 2 and quota[0] > 0 and quota[1] > 0:
        cpus = min(cpus, quota[0] // quota[1])
    return max(1, cpus)


def usable_memory(root: Path = ROOT) -> int:
    """Bytes of memory by cgroup limit (v2 or v1), or those of the host."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = _numbers(root / "memory.max") or _numbers(root / "memory/memory.limit_in_bytes")
    return min([host, *limits])


def _numbers(path: Path) -> list[int]:
    """The whole numbers of a control file; none when it is absent or says `max`."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
