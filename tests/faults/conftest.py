"""Tools that a fault needs, skipped visibly where the machine has none."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faketime():
    """libfaketime, which shows a process another time of day: Debian's package libfaketime."""
    places = (*os.environ.get("FAULT_LIBRARIES", "").split(":"), "/usr/lib")
    found = [file for p in places if p for file in Path(p).glob("**/faketime/libfaketimeMT.so.1")]
    if not found:
        pytest.skip("libfaketime is not installed")
    return str(found[0])
