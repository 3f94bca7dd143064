"""What values do, and which are refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import certificates
from tests.chart.charts import (
    CHART,
    RELEASE,
    VALUES,
    helm,
    needs_helm,
    needs_node_packages,
    of_kind,
    pod_specs,
    render,
    settings_of,
    the,
)
from tests.chart.tools import HELMS, NODE_MODULES
from tests.servers import ServerProcess

CI = {path.stem.removesuffix("-values"): path for path in VALUES}
TLS = ["tls.enabled=true", "tls.existingSecret=certificate"]


def sets(*values):
    return [word for value in values for word in ("--set", value)]


@needs_helm
@pytest.mark.parametrize(
    "values",
    [
        ["replicaCount=3"],
        ["replicas=many"],
        ["replicas=-1"],
        ["image.tags=1"],
        ["image.digest=4f53cda18c2b"],
        ["image.pullPolicy=Sometimes"],
        ["settings.maxCall=3"],
        ["settings.maxCalls=0"],
        ["settings.maxCalls=two"],
        ["settings.logLevel=loud"],
        ["settings.address=x"],
        ["settings.computeThreads=2"],
        ["service.type=External"],
        ["service.port=70000"],
        ["shutdown.preStopSeconds=0"],
        ["shutdown.terminationGracePeriodSeconds=5"],
        ["autoscaling.enabled=true", "keda.enabled=true", "keda.prometheusAddress=http://p"],
        ["autoscaling.enabled=true", "autoscaling.cpuUtilization=null"],
        ["keda.enabled=true"],
        ["keda.enabled=true", "keda.prometheusAddress=http://p", "metrics.enabled=false"],
        ["metrics.serviceMonitor.enabled=true", "metrics.enabled=false"],
        ["tls.enabled=true"],
        [*TLS, "tls.certManager.enabled=true", "tls.certManager.issuerRef.name=x"],
        ["tls.enabled=true", "tls.certManager.enabled=true"],
        ["tls.clientCertificates=true"],
        ["models.source=persistentVolumeClaim"],
        ["models.source=image"],
        ["models.source=initContainer", "models.initContainer.image=x"],
        ["models.source=bucket"],
        ["grpcRoute.enabled=true"],
        ["ingress.enabled=true"],
        ["podDisruptionBudget.maxUnavailable=0"],
        ["topologySpread.zone=Maybe"],
    ],
    ids=" ".join,
)
def test_wrong_values_are_refused(values):
    done = helm("template", *RELEASE, *sets(*values))
    assert done.returncode != 0
    assert "schema" in done.stderr


@needs_helm
@pytest.mark.parametrize("value", ["replicaCount=3", "settings.maxCalls=0", "tls.enabled=true"])
def test_helm_3_refuses_them_too(value):
    oldest, *_ = HELMS
    done = helm("template", *RELEASE, "--set", value, by=oldest)
    assert done.returncode != 0
    assert "schema" in done.stderr


@needs_helm
def test_threads_follow_the_limit_of_processors():
    server = pod_specs(render())[0]["containers"][0]
    (threads,) = (each for each in server["env"] if each["name"] == "NEXTLABEL_COMPUTE_THREADS")
    source = {"containerName": "server", "resource": "limits.cpu"}
    assert threads["valueFrom"]["resourceFieldRef"] == source
    without = pod_specs(render("--set", "resources.limits.cpu=null"))[0]["containers"][0]
    # Without a limit the field would say what the node has.
    assert "NEXTLABEL_COMPUTE_THREADS" not in {each["name"] for each in without["env"]}


@needs_helm
def test_a_digest_goes_before_a_tag():
    digest = "sha256:" + "0" * 64
    for pod in pod_specs(render(*sets("image.tag=v1", f"image.digest={digest}"))):
        assert pod["containers"][0]["image"] == f"nextlabel@{digest}"


@needs_helm
def test_other_settings_make_other_pods():
    def checksum(*values):
        template = the(render(*sets(*values)), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]

    assert checksum("settings.maxCalls=3") != checksum("settings.maxCalls=4")
    assert checksum("replicas=3") == checksum("replicas=4")


@needs_helm
def test_the_server_starts_with_the_settings_of_the_chart(tmp_path):
    """Those that need no file or port of a pod."""
    settings = settings_of(render("--values", CI["autoscaling"]))
    chosen = {
        name.removeprefix("NEXTLABEL_").lower(): value
        for name, value in settings.items()
        if not name.endswith("_ADDRESS")
    }
    assert chosen["max_rows"] == "4294967296"
    assert chosen["max_wait_seconds"] == "2.5"
    with ServerProcess(**chosen) as server:
        assert server.alive


@needs_helm
def test_plaintext_says_so_to_balancers_and_tls_does_not():
    plain = the_service(render())["spec"]["ports"][0]
    assert plain["appProtocol"] == "kubernetes.io/h2c"
    assert "appProtocol" not in the_service(render(*sets(*TLS)))["spec"]["ports"][0]


def the_service(objects):
    return next(
        each for each in of_kind(objects, "Service") if each["spec"].get("clusterIP") != "None"
    )


def run_test_pod(objects, target, folder=Path("/")):
    """What its container does, on this machine: volumes are in `folder`, the server is `target`."""
    (container,) = the(objects, "Pod")["spec"]["containers"]
    python, *arguments = container["command"]
    assert python == "python"
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables.pop("TARGET") == "dns:///labels-nextlabel-headless.active.svc:50051"
    variables = {name: str(folder) + value for name, value in variables.items()}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **variables, "TARGET": target},
        capture_output=True,
        text=True,
        timeout=60,
    )


@needs_helm
def test_the_test_pod_makes_a_real_call(server_process):
    done = run_test_pod(render(), server_process.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1 2]")


@needs_helm
def test_the_test_pod_is_let_in_with_certificate_and_token(tmp_path):
    objects = render("--values", CI["tls"])
    authority = certificates.Authority(tmp_path / "ca.crt")
    secret = {**authority.issue(), "ca.crt": (tmp_path / "ca.crt").read_bytes()}
    certificates.write(tmp_path / "tls", secret)
    certificates.write(tmp_path / "tokens", {"tokens": b"# both are valid\n" + 20 * b"a" + b"\n"})
    (tmp_path / "models").mkdir()
    settings = {}
    for name, value in settings_of(objects).items():
        # Its files are in another place, and its ports are free ones.
        here = str(tmp_path) + value if value.startswith("/") else value
        here = "127.0.0.1:0" if name.endswith("_ADDRESS") else here
        settings[name.removeprefix("NEXTLABEL_").lower()] = here
    with ServerProcess(**settings) as server:
        done = run_test_pod(objects, server.address, tmp_path)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1 2]")


@needs_helm
def test_alerts_and_dashboard_arrive_as_they_are_written():
    objects = render("--values", CI["keda"])
    alerts = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
    assert the(objects, "PrometheusRule")["spec"] == alerts
    (dashboard,) = (each for each in objects if "nextlabel.json" in each.get("data", {}))
    written = json.loads((CHART / "files/dashboard.json").read_text())
    assert json.loads(dashboard["data"]["nextlabel.json"]) == written


@needs_helm
@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_the_notes_tell_how_to_make_the_first_call(kind):
    # Helm 4 shows notes of a release that it only pretends to install.
    done = helm("install", *RELEASE, "--dry-run=client", "--set", f"service.type={kind}")
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert 'nextlabel info --server "$ADDRESS"' in notes
    needed = {"ClusterIP": "port-forward", "NodePort": "nodePort", "LoadBalancer": "loadBalancer"}
    assert needed[kind] in notes
    script = "\n".join(re.findall(r"^  (\S.*)$", notes, flags=re.MULTILINE))
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def leaves(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_readme_names_every_value():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    listed = re.findall(r"^\| `([^`]+)`", (CHART / "README.md").read_text(), flags=re.MULTILINE)
    for leaf in leaves(values):
        assert any(leaf == each or leaf.startswith(f"{each}.") for each in listed), leaf


@needs_node_packages
def test_the_readme_is_what_the_values_say(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((CHART / "README.md").read_text())
    generator = NODE_MODULES / ".bin/readme-generator"
    values = CHART / "values.yaml"
    subprocess.run([generator, "-v", values, "-r", readme], check=True, capture_output=True)
    assert readme.read_text() == (CHART / "README.md").read_text()


def test_the_schema_has_the_settings_of_the_server(tmp_path, monkeypatch):
    schema = CHART / "values.schema.json"
    before = schema.read_text()
    copy = tmp_path / schema.name
    copy.write_text(before)
    monkeypatch.syspath_prepend(CHART.parent)
    import generate

    monkeypatch.setattr(generate, "SCHEMA", copy)
    generate.main()
    assert copy.read_text() == before


def test_the_chart_has_the_version_of_the_server():
    import nextlabel

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == nextlabel.__version__
