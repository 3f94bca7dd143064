import os

import pytest

from tests.image.build import missing

if reason := missing():
    WHY = f"no image: {reason}"
elif os.environ.get("NEXTLABEL_IMAGE_TEST"):
    WHY = ""
else:
    WHY = "no image: `make image-test` builds one"


@pytest.fixture(scope="session", autouse=True)
def _image():
    if WHY:
        pytest.skip(WHY)
