"""What the chart makes, for each values file in helm/nextlabel/ci/."""

import dataclasses
import json
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from nextlabel_server.settings import Settings
from tests.chart.charts import (
    CHART,
    VALUES,
    containers,
    helm,
    needs_helm,
    needs_node_packages,
    of_kind,
    pod_specs,
    render,
    settings_of,
    the,
)
from tests.chart.tools import HELMS, TOOLS

pytestmark = needs_helm

OLDEST, NEWEST = "1.30", "1.37"  # of the Kubernetes that the chart claims
CUSTOM = {"Certificate", "GRPCRoute", "PrometheusRule", "ScaledObject", "ServiceMonitor"}


@pytest.fixture(scope="module", params=VALUES, ids=lambda path: path.stem)
def values(request):
    return request.param


@pytest.fixture(scope="module")
def objects(values):
    return render("--values", values)


@pytest.mark.parametrize("version", HELMS)
def test_helm_finds_nothing_to_object_to(version, values):
    done = helm("lint", "--strict", CHART, "--values", values, by=version)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_3_and_4_make_the_same_objects(values, objects):
    oldest, *_ = HELMS
    assert render("--values", values, by=oldest) == objects


def without_image_volumes(deployment):
    """The same, as Kubernetes before 1.31 could take it."""
    copy = json.loads(json.dumps(deployment))
    pod = copy["spec"]["template"]["spec"]
    pod["volumes"] = [each for each in pod["volumes"] if "image" not in each]
    return copy


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object(version, objects):
    for each in objects:
        if each["kind"] in CUSTOM:
            continue
        if version == OLDEST and each["kind"] == "Deployment":
            each = without_image_volumes(each)
        kubernetes_validate.validate(each, version, strict=True)


@needs_node_packages
def test_custom_resources_are_as_their_operators_want_them():
    objects = [each for values in VALUES for each in render("--values", values)]
    custom = [each for each in objects if each["kind"] in CUSTOM]
    assert {each["kind"] for each in custom} == CUSTOM
    # Node looks for packages beside the program.
    program = TOOLS / "validate.mjs"
    program.write_text((Path(__file__).parent / "validate.mjs").read_text())
    done = subprocess.run(
        ["node", program], input=json.dumps(custom), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_container_may_run_in_a_restricted_namespace(objects):
    for pod in pod_specs(objects):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        allowed = {"emptyDir", "secret", "persistentVolumeClaim", "image"}
        assert {kind for volume in pod["volumes"] for kind in volume} - {"name"} <= allowed
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["privileged"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_every_variable_is_a_setting_of_the_server_and_is_set_once(objects):
    known = {f"NEXTLABEL_{field.name.upper()}" for field in dataclasses.fields(Settings)}
    server, *_ = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    set_here = [each["name"] for each in server["env"]]
    names = [*settings_of(objects), *set_here]
    assert len(set(names)) == len(names)
    assert {name for name in names if name.startswith("NEXTLABEL_")} <= known


def test_settings_are_what_the_server_reads(objects):
    for name, text in settings_of(objects).items():
        assert isinstance(text, str), name
        assert "e+" not in text, name


def test_an_autoscaler_alone_sets_the_number_of_pods(objects):
    autoscaled = of_kind(objects, "HorizontalPodAutoscaler") + of_kind(objects, "ScaledObject")
    assert ("replicas" in the(objects, "Deployment")["spec"]) is not bool(autoscaled)


def test_a_pod_has_time_for_all_that_comes_before_its_end(objects):
    pod, *_ = pod_specs(objects)
    settings = settings_of(objects)
    needed = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed += int(settings["NEXTLABEL_DRAIN_SECONDS"]) + int(settings["NEXTLABEL_GRACE_SECONDS"])
    assert needed < pod["terminationGracePeriodSeconds"]


def test_probes_ask_where_health_is_answered_in_plaintext(objects):
    server, *_ = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    settings = settings_of(objects)
    ports = {each["name"]: each["containerPort"] for each in server["ports"]}
    address = settings["NEXTLABEL_ADDRESS"]
    if "NEXTLABEL_TLS_CERTIFICATE" in settings:
        address = settings["NEXTLABEL_HEALTH_ADDRESS"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["grpc"]["port"] == int(address.rpartition(":")[2])
        assert server[probe]["grpc"]["port"] in ports.values()


def test_ports_of_services_and_policies_are_ports_of_the_pods(objects):
    server, *_ = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in server["ports"]}
    wanted = [port for each in of_kind(objects, "Service") for port in each["spec"]["ports"]]
    assert {port["targetPort"] for port in wanted} <= set(ports)
    (policy,) = of_kind(objects, "NetworkPolicy")
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} <= set(
        ports
    )
    headless = next(each for each in of_kind(objects, "Service") if each["spec"].get("clusterIP"))
    for port in headless["spec"]["ports"]:
        assert port["port"] == ports[port["targetPort"]]


def test_selectors_find_the_pods_of_the_server_and_no_others(objects):
    deployment = the(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    (test,) = of_kind(objects, "Pod")
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [each["spec"]["selector"] for each in of_kind(objects, "Service")]
    for kind in ("PodDisruptionBudget",):
        selectors += [each["spec"]["selector"]["matchLabels"] for each in of_kind(objects, kind)]
    selectors += [the(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    for selector in selectors:
        assert selector.items() <= labels
        assert not selector.items() <= test["metadata"]["labels"].items()


def test_every_mount_has_its_volume(objects):
    for pod in pod_specs(objects):
        volumes = {each["name"] for each in pod["volumes"]}
        for container in containers(pod):
            assert {each["name"] for each in container["volumeMounts"]} <= volumes
