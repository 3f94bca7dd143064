"""The chart, rendered by a real helm."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.tools import HELMS, NODE_MODULES, TOOLS

CHART = Path(__file__).parents[2] / "helm/nextlabel"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NEWEST_HELM = list(HELMS)[-1]
RELEASE = ["labels", str(CHART), "--namespace", "active"]

needs_helm = pytest.mark.skipif(
    not all((TOOLS / name).exists() for name in HELMS),
    reason="no helm: `make chart-tools` fetches it",
)
needs_node_packages = pytest.mark.skipif(
    not NODE_MODULES.exists(), reason="no npm packages: `make chart-tools` fetches them"
)

Object = dict


def helm(*arguments: str | Path, by: str = NEWEST_HELM) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TOOLS / by, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def render(*options: str | Path, by: str = NEWEST_HELM) -> list[Object]:
    """The objects that helm would create."""
    done = helm("template", *RELEASE, *options, by=by)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def the(objects: list[Object], kind: str) -> Object:
    (one,) = of_kind(objects, kind)
    return one


def settings_of(objects: list[Object]) -> dict[str, str]:
    """The server's variables from the ConfigMap."""
    return next(each["data"] for each in objects if "NEXTLABEL_ADDRESS" in each.get("data", {}))


def pod_specs(objects: list[Object]) -> list[Object]:
    """Those of the server and of the test."""
    pods = [each["spec"] for each in of_kind(objects, "Pod")]
    return [the(objects, "Deployment")["spec"]["template"]["spec"], *pods]


def containers(pod_spec: Object) -> list[Object]:
    return [*pod_spec.get("initContainers", []), *pod_spec["containers"]]
