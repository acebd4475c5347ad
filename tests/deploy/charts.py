"""The Helm chart as tests render it; what needs Helm is skipped where it cannot be had."""

import os
from typing import Any

import pytest
import yaml
from check_chart import ROOT, have_tools, render

Manifests = list[dict[str, Any]]
DIGEST = f"sha256:{'a' * 64}"
PLAIN: dict[str, Any] = yaml.safe_load((ROOT / "tests/deploy/chart.yaml").read_text("utf-8"))
# Everything that a value switches on.
WHOLE: dict[str, Any] = PLAIN | {
    "images": {"digests": dict.fromkeys(("api", "console", "mlflow", "airflow"), DIGEST),
               "pullSecrets": ["registry"]},
    "fleets": {"specs": {"pumps.toml": "name = 'pumps'"}},
    "api": {"sharedState": True, "trustedProxies": ["10.0.0.0/8"],
            "settings": {"PRESAGIO_RECORD_SECONDS": "5"}},
    "console": {"trustedProxies": ["10.0.0.0/8"], "settings": {"PRESAGIO_UNIT_SILENT_H": "8"},
                "oidc": {"issuer": "https://idp.example", "adminGroups": ["CN=Chiefs,OU=Plant"]},
                "ingress": {"enabled": True, "className": "nginx", "host": "console.example",
                            "tlsSecret": "console-tls", "annotations": {"a": "b"}}},
    "ingress": {"enabled": True, "className": "nginx", "host": "presagio.example",
                "tlsSecret": "presagio-tls", "annotations": {"a": "b"}},
    "monitoring": {"serviceMonitors": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "apiFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "consoleFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "postgresqlTo": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
        "s3To": [{"ipBlock": {"cidr": "10.2.0.0/16"}}], "apiToPorts": [443],
        "consoleToPorts": [443],
    },
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "plant", "operator": "Exists", "effect": "NoSchedule"}],
}  # fmt: skip
# Everything that a value switches off.
BARE: dict[str, Any] = {
    "postgresql": {"host": "db.internal", "provision": False},
    "s3": {"provision": False, "keys": False, "buckets": {"mlflow": "plant-mlflow"}},
    "secrets": {"existing": "presagio-external"},
    "api": {"autoscaling": {"enabled": False}, "replicas": 3},
    "console": {"enabled": False},
    "exporter": {"enabled": False},
    "networkPolicy": {"enabled": False},
}
VALUES = {"plain": PLAIN, "whole": WHOLE, "bare": BARE}


def need_helm() -> None:
    """Skip what needs Helm where it is not; in CI it has to be (``TEST_CHART=1``)."""
    if not have_tools():
        message = "Helm is not here: bash deploy/chart/tools.sh fetches it"
        if os.environ.get("TEST_CHART"):
            pytest.fail(message)
        pytest.skip(message)


def rendered(values: dict[str, Any], folder: Any, *arguments: str) -> Manifests:
    """Render the chart with values."""
    need_helm()
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values), "utf-8")
    return render("--values", str(path), *arguments)


def found(manifests: Manifests, name: str) -> dict[str, Any]:
    """Return the object ``Kind/name``."""
    kind, _, own = name.partition("/")
    (one,) = [each for each in manifests
              if (each["kind"], each["metadata"]["name"]) == (kind, own)]  # fmt: skip
    return one


def container(manifests: Manifests, name: str) -> dict[str, Any]:
    """Return the one container of an object that makes pods."""
    (one,) = found(manifests, name)["spec"]["template"]["spec"]["containers"]
    return dict(one)
