"""Mistakes in the chart that schemas let through: each is planted, and named by the checks."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from check_chart import faults, invalid

from tests.deploy.charts import WHOLE, Manifests, container, found, rendered

Change = Callable[[Manifests], None]
_API, _CONSOLE = "Deployment/presagio-api", "Deployment/presagio-console"


def _pod(manifests: Manifests, name: str = _API) -> dict[str, Any]:
    return dict(found(manifests, name)["spec"]["template"]["spec"])


def _variable(manifests: Manifests, name: str, variable: str) -> dict[str, Any]:
    (one,) = [each for each in container(manifests, name)["env"] if each["name"] == variable]
    return dict(one)


def _reference(manifests: Manifests, variable: str) -> dict[str, Any]:
    return dict.__getitem__(_variable(manifests, _API, variable)["valueFrom"], "secretKeyRef")


def _remove(name: str) -> Change:
    def change(manifests: Manifests) -> None:
        manifests.remove(found(manifests, name))

    return change


_NO, _YES = False, True


def _put(value: Any, *path: str | int, of: str) -> Change:
    def change(manifests: Manifests) -> None:
        place: Any = found(manifests, of)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


_CONTAINER = ("spec", "template", "spec", "containers", 0)
_BACKEND = ("spec", "rules", 0, "http", "paths", 0, "backend", "service")
_COMPONENT = "app.kubernetes.io/component"


def _key(manifests: Manifests) -> None:
    _reference(manifests, "PRESAGIO_TOKEN_SECRET")["key"] = "PRESAGIO_TOKEN_SECRETS"


def _others_key(manifests: Manifests) -> None:
    _reference(manifests, "PRESAGIO_S3_ACCESS_KEY")["key"] = "PRESAGIO_S3_APP_ACCESS_KEY"


def _secret(manifests: Manifests) -> None:
    _reference(manifests, "PRESAGIO_TOKEN_SECRET")["name"] = "presagio-token"


def _order(manifests: Manifests) -> None:
    env = container(manifests, "Deployment/presagio-exporter")["env"]
    env.append(env.pop(0))


def _twice(manifests: Manifests) -> None:
    container(manifests, _API)["env"].append({"name": "TMPDIR", "value": "/srv"})


def _early(manifests: Manifests) -> None:
    env = container(manifests, "Job/presagio-databases")["env"]
    for each in env:
        if each.get("valueFrom", {}).get("secretKeyRef", {}).get("name") == "presagio-setup":
            each["valueFrom"]["secretKeyRef"]["name"] = "presagio"


def _no_console_password(manifests: Manifests) -> None:
    for name in ("presagio", "presagio-setup"):
        del found(manifests, f"Secret/{name}")["data"]["PRESAGIO_CONSOLE_DB_PASSWORD"]


# What is planted, and what the checks say of it.
MISTAKES: dict[str, tuple[Change, str]] = {
    "a Service's selector": (
        _put("apis", "spec", "selector", _COMPONENT, of="Service/presagio-api"),
        "Service/presagio-api: selects no pod"),
    "a Deployment's selector": (
        _put("apis", "spec", "selector", "matchLabels", _COMPONENT, of=_API),
        f"{_API}: its selector does not select its pods"),
    "a Service's port": (
        _put("web", "spec", "ports", 0, "targetPort", of="Service/presagio-api"),
        "Service/presagio-api: port web is none of its pods'"),
    "a probe's port": (
        _put("web", *_CONTAINER, "readinessProbe", "httpGet", "port", of=_API),
        f"{_API}: readinessProbe asks port web, which no container has"),
    "an Ingress's Service": (
        _put("presagio", *_BACKEND, "name", of="Ingress/presagio-api"),
        "Ingress/presagio-api: Service presagio is not there"),
    "an Ingress's port": (
        _put("web", *_BACKEND, "port", "name", of="Ingress/presagio-api"),
        "Ingress/presagio-api: Service presagio-api has no port {'name': 'web'}"),
    "a ConfigMap": (
        _remove("ConfigMap/presagio-specs"), f"{_API}: ConfigMap presagio-specs is not there"),
    "a ConfigMap's key": (
        _put({"client": "prometheus"}, "data", of="ConfigMap/presagio-metrics-client"),
        "ServiceMonitor/presagio-api: ConfigMap presagio-metrics-client has no key client-id"),
    "a Secret": (_secret, f"{_API}: Secret presagio-token is not there"),
    "a Secret's key": (_key, f"{_API}: Secret presagio has no key PRESAGIO_TOKEN_SECRETS"),
    "a service account": (
        _remove("ServiceAccount/presagio-api"),
        f"{_API}: ServiceAccount presagio-api is not there"),
    "an autoscaler's target": (
        _put("presagio", "spec", "scaleTargetRef", "name",
             of="HorizontalPodAutoscaler/presagio-api"),
        "HorizontalPodAutoscaler/presagio-api: Deployment presagio is not there"),
    "a disruption budget's selector": (
        _put("apis", "spec", "selector", "matchLabels", _COMPONENT,
             of="PodDisruptionBudget/presagio-api"),
        "PodDisruptionBudget/presagio-api: selects no pod"),
    "uid 0 with runAsNonRoot": (
        _put(0, "spec", "template", "spec", "securityContext", "runAsUser", of=_API),
        f"{_API}: runs as root, or as whoever the image names"),
    "a volume": (
        _put("homes", "spec", "template", "spec", "volumes", 1, "name", of=_API),
        f"{_API}: volume home is not there"),
    "an image": (
        _put("presagio/apis:0.1.0", *_CONTAINER, "image", of=_API),
        f"{_API}: image presagio/apis:0.1.0 is not built here"),
}  # fmt: skip
MORE: dict[str, tuple[Change, str]] = {
    "an image without a version": (
        _put("presagio/api", *_CONTAINER, "image", of=_API),
        f"{_API}: image presagio/api names no version"),
    "a key of a Secret of others": (
        _others_key, f"{_API}: Secret presagio-external has no key PRESAGIO_S3_APP_ACCESS_KEY"),
    "a variable before what it uses": (
        _order, "Deployment/presagio-exporter: PRESAGIO_DATABASE_URL uses "
        "$(PRESAGIO_MONITOR_DB_PASSWORD), which is not set before it"),
    "a variable twice": (_twice, f"{_API}: variable TMPDIR is set twice"),
    "a job before its Secret": (
        _early, "Job/presagio-databases: Secret presagio is made after pre-install, pre-upgrade "
        "needs it"),
    "a fixed number beside an autoscaler": (
        _put(2, "spec", "replicas", of=_API),
        "HorizontalPodAutoscaler/presagio-api: Deployment presagio-api sets its replicas back at "
        "each upgrade"),
    "a budget that holds every node": (
        _put(0, "spec", "maxUnavailable", of="PodDisruptionBudget/presagio-api"),
        "PodDisruptionBudget/presagio-api: lets no node be drained"),
    "a policy's selector": (
        _put("apis", "spec", "podSelector", "matchLabels", _COMPONENT,
             of="NetworkPolicy/presagio-api"),
        "NetworkPolicy/presagio-api: selects no pod"),
    "a policy's port": (
        _put(8080, "spec", "ingress", 0, "ports", 0, "port", of="NetworkPolicy/presagio-api"),
        "NetworkPolicy/presagio-api: lets in at port 8080, which its pods have not"),
    "a policy's way out": (
        _put(5001, "spec", "egress", 0, "ports", 0, "port", of="NetworkPolicy/presagio-api"),
        "NetworkPolicy/presagio-api: lets out to port 5001, which nobody has"),
    "a monitor's port": (
        _put("web", "spec", "endpoints", 0, "port", of="ServiceMonitor/presagio-api"),
        "ServiceMonitor/presagio-api: no Service has a port web"),
    "a host without a certificate": (
        _put("other.example", "spec", "rules", 0, "host", of="Ingress/presagio-api"),
        "Ingress/presagio-api: other.example has no certificate"),
    "a root that can be written": (
        _put(_NO, *_CONTAINER, "securityContext", "readOnlyRootFilesystem", of=_API),
        f"{_API}: container api may write into its image"),
    "a folder of the node": (
        _put({"name": "tmp", "hostPath": {"path": "/srv"}}, "spec", "template", "spec", "volumes",
             0, of=_API),
        f"{_API}: volume tmp is a hostPath"),
    "a token of the cluster": (
        _put(_YES, "spec", "template", "spec", "automountServiceAccountToken", of=_API),
        f"{_API}: gets a token of the cluster"),
    "no limit of memory": (
        _put({"cpu": "1"}, *_CONTAINER, "resources", "limits", of=_API),
        f"{_API}: container api has no limits"),
    "a password of the console that is not made": (
        _no_console_password, f"{_CONSOLE}: Secret presagio has no key "
        "PRESAGIO_CONSOLE_DB_PASSWORD"),
    "a certificate of the API's on the console's host": (
        _put(["presagio.example"], "spec", "tls", 0, "hosts", of="Ingress/presagio-console"),
        "Ingress/presagio-console: console.example has no certificate"),
    "a way out of the console to another port of the API's": (
        _put(8050, "spec", "egress", 0, "ports", 0, "port", of="NetworkPolicy/presagio-console"),
        "NetworkPolicy/presagio-console: lets out to port 8050, which nobody has"),
    "a console that is asked whether the API is well": (
        _put(8000, *_CONTAINER, "readinessProbe", "httpGet", "port", of=_CONSOLE),
        f"{_CONSOLE}: readinessProbe asks port 8000, which no container has"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return rendered(WHOLE, tmp_path_factory.mktemp("whole"))


def _planted(whole: Manifests, change: Change) -> Manifests:
    manifests = copy.deepcopy(whole)
    change(manifests)
    return manifests


@pytest.mark.parametrize("mistake", [*MISTAKES, *MORE])
def test_a_planted_mistake_is_named(mistake: str, whole: Manifests) -> None:
    change, expected = {**MISTAKES, **MORE}[mistake]
    assert expected in faults(_planted(whole, change), ["presagio-external"])


def test_schemas_alone_see_none_of_them(whole: Manifests) -> None:
    """Why there are checks of our own: all of these are valid to Kubernetes' schemas."""
    assert len(MISTAKES) == 16
    planted = [each for change, _ in MISTAKES.values() for each in _planted(whole, change)
               if each not in whole]  # fmt: skip
    assert len(planted) >= 13
    assert invalid(planted) == []
