"""The Helm chart: what it renders is valid, what it keeps stays, and what it refuses is named."""

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_chart import CHART, ROOT, TOOLS, faults, have_tools, invalid

from presagio.console import program
from presagio.serving import worker
from tests.deploy.charts import PLAIN, VALUES, Manifests, container, found, need_helm, rendered
from tests.env_files import read_env

GIVEN = ["presagio-external"]


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifests]:
    folder = tmp_path_factory.mktemp("values")
    return {name: rendered(values, folder) for name, values in VALUES.items()}


def test_tools_that_came_in_part_are_none(tmp_path: Path) -> None:
    (tmp_path / "helm").touch()
    assert not have_tools(tmp_path)
    (tmp_path / "installed.txt").touch()
    assert have_tools(tmp_path)


def test_kubernetes_takes_every_object_in_all_its_versions(charts: dict[str, Manifests]) -> None:
    assert invalid([each for manifests in charts.values() for each in manifests]) == []


def test_a_key_that_kubernetes_does_not_know_is_seen(charts: dict[str, Manifests]) -> None:
    budget = found(charts["plain"], "PodDisruptionBudget/presagio-api")
    wrong = {**budget, "spec": {**budget["spec"], "maxUnavailble": 1}}
    assert [line.split(":")[0] for line in invalid([wrong])] == [
        "PodDisruptionBudget/presagio-api"
    ] * 4


@pytest.mark.parametrize("name", VALUES)
def test_nothing_leads_nowhere_and_no_pod_has_rights(
    name: str, charts: dict[str, Manifests]
) -> None:
    assert faults(charts[name], GIVEN) == []


def test_every_switch_makes_what_it_says(charts: dict[str, Manifests]) -> None:
    kinds = {name: {each["kind"] for each in chart} for name, chart in charts.items()}
    assert {"Ingress", "ServiceMonitor", "NetworkPolicy", "Secret"} <= kinds["whole"]
    assert not {"Ingress", "ServiceMonitor"} & kinds["plain"]
    assert not {"Secret", "NetworkPolicy", "HorizontalPodAutoscaler"} & kinds["bare"]
    bare = charts["bare"]
    assert container(bare, "Job/presagio-databases")["command"][-1] == "ledger"
    assert found(bare, "Deployment/presagio-api")["spec"]["replicas"] == 3
    names = [each["metadata"]["name"] for each in bare]
    assert not [name for name in names if name.endswith(("console", "exporter", "buckets"))]
    variables = {each["name"] for each in container(bare, "Deployment/presagio-api")["env"]}
    assert not variables & {"PRESAGIO_S3_ACCESS_KEY", "PRESAGIO_S3_SECRET_KEY"}


@pytest.mark.parametrize(
    ("name", "grace_s"), [("api", worker._GRACE_S), ("console", program._GRACE_S)]
)
def test_an_update_fails_no_request(name: str, grace_s: int, charts: dict[str, Manifests]) -> None:
    """A new pod is ready before an old one ends, which first leaves the balancers."""
    for values in ("plain", "whole"):
        spec = found(charts[values], f"Deployment/presagio-{name}")["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        pod = spec["template"]["spec"]
        (one,) = pod["containers"]
        drain = one["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert drain > one["readinessProbe"]["periodSeconds"]
        assert pod["terminationGracePeriodSeconds"] > drain + grace_s


def test_replicas_of_the_console_spread_and_stay(charts: dict[str, Manifests]) -> None:
    for name in ("api", "console"):
        spec = found(charts["plain"], f"Deployment/presagio-{name}")["spec"]
        (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
        labels = spec["selector"]["matchLabels"]
        assert spread["labelSelector"]["matchLabels"] == labels
        budget = found(charts["plain"], f"PodDisruptionBudget/presagio-{name}")["spec"]
        assert budget["selector"]["matchLabels"] == labels
        assert budget["maxUnavailable"] == 1
    assert found(charts["plain"], "Deployment/presagio-console")["spec"]["replicas"] == 2


def _policy(manifests: Manifests, name: str) -> tuple[set[str], dict[int, set[str]]]:
    """Return which of our components a policy lets in, and out to by port; none: anywhere."""

    def components(peers: list[dict[str, Any]]) -> set[str]:
        labels = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in peers]
        return {each["app.kubernetes.io/component"] for each in labels if len(each) == 3}

    spec = found(manifests, f"NetworkPolicy/presagio-{name}")["spec"]
    (inward,) = spec["ingress"]
    outward = {port["port"]: components(rule.get("to", []))
               for rule in spec["egress"] for port in rule["ports"]}  # fmt: skip
    return components(inward.get("from", [])), outward


def test_the_console_reaches_what_it_asks_and_only_the_ingress_reaches_it(
    charts: dict[str, Manifests],
) -> None:
    whole = charts["whole"]
    inward, outward = _policy(whole, "console")
    assert inward == set()
    # 443: an identity provider.
    assert outward == {
        8000: {"api"}, 5000: {"mlflow"}, 8080: set(), 9010: set(), 5432: set(), 443: set(),
    }  # fmt: skip
    ways = found(whole, "NetworkPolicy/presagio-console")["spec"]["egress"]
    (airflow,) = [way["to"] for way in ways if way["ports"] == [{"port": 8080}]]
    assert airflow == [{"podSelector": {"matchLabels": {"release": "airflow"}}}]
    (rule,) = found(whole, "NetworkPolicy/presagio-console")["spec"]["ingress"]
    assert rule["from"] == VALUES["whole"]["networkPolicy"]["consoleFrom"]
    assert rule["ports"] == [{"port": 8050}]
    assert "console" in _policy(whole, "api")[0] & _policy(whole, "mlflow")[0]


def test_each_site_has_a_host_and_a_certificate(charts: dict[str, Manifests]) -> None:
    hosts = {}
    for name in ("api", "console"):
        spec = found(charts["whole"], f"Ingress/presagio-{name}")["spec"]
        (rule,), (tls,) = spec["rules"], spec["tls"]
        assert tls["hosts"] == [rule["host"]]
        hosts[rule["host"]] = tls["secretName"]
    assert hosts == {"presagio.example": "presagio-tls", "console.example": "console-tls"}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["port-forward service/presagio-console 8050", "port-forward service/presagio-api"]),
        ({"console": VALUES["whole"]["console"]}, ["The console: https://console.example"]),
        ({"console": {"enabled": False}}, ["port-forward service/presagio-api 8000"]),
    ],
)
def test_notes_say_where_the_console_is(
    changes: dict[str, Any], lines: list[str], tmp_path: Path
) -> None:
    need_helm()
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(PLAIN | changes), "utf-8")
    notes = subprocess.run(
        [str(TOOLS / "helm"), "install", "presagio", str(CHART), "--namespace", "plant",
         "--dry-run=client", "--values", str(path)],
        check=True, capture_output=True, text=True,
    ).stdout.partition("\nNOTES:\n")[2]  # fmt: skip
    assert [line for line in lines if line not in notes] == []
    assert ("console" in notes) == changes.get("console", {}).get("enabled", True)


def test_jobs_run_before_and_after_in_the_order_of_compose(charts: dict[str, Manifests]) -> None:
    def when(name: str) -> tuple[str, int]:
        made = found(charts["plain"], f"Job/presagio-{name}")["metadata"]["annotations"]
        assert made["helm.sh/hook-delete-policy"] == "before-hook-creation"
        return made["helm.sh/hook"], int(made["helm.sh/hook-weight"])

    before, after = "pre-install,pre-upgrade", "post-install,post-upgrade"
    assert [when("databases"), when("buckets")] == [(before, 0), (before, 1)]
    assert [when("mlflow-init"), when("bootstrap")] == [(after, 0), (after, 1)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"postgresql": {"host": ""}}, "/postgresql/host"),
        ({"api": {"replicsa": 2}}, "/api"),
        ({"api": {"settings": {"MLFLOW_X": "1"}}}, "/api/settings"),
        ({"api": {"replicas": 0}}, "/api/replicas"),
        ({"fleets": {"specs": {"../x.toml": "a"}}}, "/fleets/specs"),
        ({"images": {"digests": {"api": "sha256:12"}}}, "/images/digests/api"),
        ({"console": {"plantTimeZone": "Europe/Madrid; rm"}}, "/console/plantTimeZone"),
        ({"console": {"oidc": {"issuer": "http://idp.example"}}}, "/console/oidc/issuer"),
        ({"console": {"ingress": {"enabled": True, "host": "a.example"}}},
         "/console/ingress/tlsSecret"),
        ({"ingress": {"enabled": True, "host": "a.example"}}, "/ingress/tlsSecret"),
        ({"s3": {"endpoint": "s3.internal"}}, "/s3/endpoint"),
        ({"networkPolicy": {"apiFrom": [{"cidr": "10.0.0.0/8"}]}}, "/networkPolicy/apiFrom/0"),
        ({"unknown": 1}, "unknown"),
        ({"s3": {"buckets": {"mlflow": "other"}}}, "s3.buckets.mlflow"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_by_name(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    need_helm()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(PLAIN | changes, tmp_path)
    assert named in refused.value.stderr


def test_the_schema_knows_every_value_and_no_other() -> None:
    """Whatever values.yaml has is described, and nothing is open but what is the user's to name."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def compare(value: Any, described: dict[str, Any], path: str) -> None:
        if "$ref" in described:
            described = schema["$defs"][described["$ref"].rpartition("/")[2]]
        if described.get("type") != "object":
            return
        assert "additionalProperties" in described, path
        known = described.get("properties", {})
        if known:
            assert described["additionalProperties"] is False, path
            for key, inner in value.items():
                compare(inner, known[key], f"{path}/{key}")
            optional = {"global", "ephemeral-storage"}
            assert set(known) - optional == set(value), path

    compare(values, schema, "")


def _decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_secrets_are_those_of_compose_and_new_each_time(tmp_path: Path) -> None:
    first, second = (
        _decoded(found(rendered(PLAIN, tmp_path), "Secret/presagio")) for _ in range(2)
    )
    # Of services that are outside; and what replicas share, which a value switches on.
    others = re.compile(
        r"PRESAGIO_(POSTGRES_PASSWORD|S3_\w+|GRAFANA_\w+|BROKER_\w+|API_DB_PASSWORD)"
    )
    secret = re.compile(r"\w+_(PASSWORD|SECRET|KEY)")
    wanted = {name for name in read_env(ROOT / ".env.example")
              if secret.fullmatch(name) and not others.fullmatch(name)}  # fmt: skip
    assert {name for name in first if not others.fullmatch(name)} == wanted
    assert not set(first.values()) & set(second.values())
    assert all(re.fullmatch(r"[A-Za-z0-9_=-]{32,}", value) for value in first.values())
    for name in ("PRESAGIO_AIRFLOW_FERNET_KEY", "PRESAGIO_MLFLOW_WEBHOOK_KEY"):
        assert len(base64.urlsafe_b64decode(first[name])) == 32


def test_jobs_before_the_installation_read_what_the_rest_reads_later(tmp_path: Path) -> None:
    manifests = rendered(PLAIN, tmp_path)
    kept, early = (found(manifests, f"Secret/{name}") for name in ("presagio", "presagio-setup"))
    assert kept["data"] == early["data"]
    assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


class _Cluster(BaseHTTPRequestHandler):
    """As much of a cluster as Helm asks for when it looks a Secret up."""

    answers: dict[str, Any]

    def do_GET(self) -> None:
        found = self.answers.get(self.path.partition("?")[0])
        body = json.dumps(found or {"kind": "Status", "status": "Failure", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


def _answers(manifests: Manifests, data: dict[str, str]) -> dict[str, Any]:
    """What a cluster that knows these kinds answers, with the Secret of an installation."""
    kinds: dict[str, set[str]] = {}
    for each in manifests:
        kinds.setdefault(each["apiVersion"], set()).add(each["kind"])
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": version.partition("/")[0],
             "versions": [{"groupVersion": version, "version": version.partition("/")[2]}]}
            for version in kinds if "/" in version
        ]},
        "/api/v1/namespaces/plant/secrets/presagio": {
            "apiVersion": "v1", "kind": "Secret", "data": data,
            # What Helm writes on everything, and asks for before it takes something over.
            "metadata": {"name": "presagio", "namespace": "plant",
                         "labels": {"app.kubernetes.io/managed-by": "Helm"},
                         "annotations": {"meta.helm.sh/release-name": "presagio",
                                         "meta.helm.sh/release-namespace": "plant"}},
        },
    }  # fmt: skip
    for version, names in kinds.items():
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": [
            {"name": f"{name.lower()}s", "namespaced": True, "kind": name, "verbs": ["get"]}
            for name in names
        ]}  # fmt: skip
    return answers


@contextmanager
def _cluster(answers: dict[str, Any]) -> Iterator[str]:
    handler = type("Cluster", (_Cluster,), {"answers": answers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_upgrade_keeps_each_secret_and_makes_those_that_are_new(tmp_path: Path) -> None:
    first = rendered(PLAIN, tmp_path)
    before = found(first, "Secret/presagio")["data"]
    new = {"PRESAGIO_METRICS_SECRET", "PRESAGIO_CONSOLE_DB_PASSWORD"}
    former = {key: value for key, value in before.items() if key not in new}
    former["PRESAGIO_TOKEN_SECRET_PREVIOUS"] = base64.b64encode(b"x" * 48).decode()
    with _cluster(_answers(first, former)) as address:
        asking = ("--dry-run=server", "--kube-apiserver", address,
                  "--disable-openapi-validation")  # fmt: skip
        manifests = rendered(PLAIN, tmp_path, *asking)
    for name in ("presagio", "presagio-setup"):
        after = found(manifests, f"Secret/{name}")["data"]
        assert former.items() <= after.items()
        assert after.keys() - former.keys() == new


def test_env_makes_the_secret_that_is_used_instead(tmp_path: Path) -> None:
    """``make env``, then kubectl: the keys of the Secret are the variables of compose."""
    need_helm()
    path = tmp_path / ".env"
    subprocess.run(["python3", str(ROOT / "deploy/make_env.py"), "--output", str(path)],
                   check=True, capture_output=True)  # fmt: skip
    made = subprocess.run(
        [str(TOOLS / "python/bin/kubectl"), "create", "secret", "generic", "presagio",
         f"--from-env-file={path}", "--dry-run=client", "--output=json"],
        check=True, capture_output=True, env={"KUBECONFIG": "/dev/null"},
    )  # fmt: skip
    keys = set(json.loads(made.stdout)["data"])
    values = PLAIN | {"secrets": {"existing": "presagio", "external": "presagio"}}
    used = set(re.findall(r"'key': '(PRESAGIO_\w+)'", str(rendered(values, tmp_path))))
    assert used - keys == {"PRESAGIO_TOKEN_SECRET_PREVIOUS", "PRESAGIO_CONSOLE_OIDC_CLIENT_SECRET"}


def test_checkov_finds_nothing_but_what_is_so_on_purpose(
    charts: dict[str, Manifests], tmp_path: Path
) -> None:
    path = tmp_path / "chart.yaml"
    path.write_text(yaml.safe_dump_all(charts["whole"]), "utf-8")
    done = subprocess.run(
        # Secrets come as variables, as in compose: our programs read settings from nowhere else.
        [str(TOOLS / "python/bin/checkov"), "--file", str(path), "--framework", "kubernetes",
         "--skip-check", "CKV_K8S_35", "--skip-download", "--quiet", "--output", "json"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    failed = [f"{each['resource']}: {each['check_id']} {each['check_name']}"
              for each in report["results"]["failed_checks"]]  # fmt: skip
    assert failed == []
    assert report["summary"]["passed"] > 200
