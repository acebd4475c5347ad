"""What in Kubernetes manifests names something that is not there, or goes against itself.

Schemas see one object at a time, so a Service that selects no pod is valid to them. Each fault is a
line that begins with the object: ``Service/presagio-api: selects no pod``.
"""

import re
from collections.abc import Callable, Collection, Iterator

from manifests import Given, Manifest, Pod, hook_of, name_of, pods_of, selected

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_IMAGE = re.compile(r"(?:.*/)?([^/:@]+)(?::([^:@/]+))?(?:@sha256:[0-9a-f]{64})?")
_REFERENCE = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class References:
    """The manifests of a release, and what is at fault in them."""

    def __init__(self, manifests: Collection[Manifest], given: Given) -> None:
        self._all = {name_of(manifest): manifest for manifest in manifests}
        self._manifests = list(manifests)
        self._given = given
        self._pods = pods_of(manifests)

    def faults(self) -> list[str]:
        """Return a line for each fault, in the order of the manifests."""
        lines = list(self._twice())
        for pod in self._pods:
            where = name_of(pod.owner)
            checks = (self._labels, self._volumes, self._variables, self._ports, self._account,
                      self._images)  # fmt: skip
            lines += [f"{where}: {fault}" for check in checks for fault in check(pod)]
        by_kind: dict[str, Callable[[Manifest], Iterator[str]]] = {
            "Service": self._service, "Ingress": self._ingress, "NetworkPolicy": self._policy,
            "HorizontalPodAutoscaler": self._scaler, "PodDisruptionBudget": self._budget,
            "ServiceMonitor": self._monitor,
        }  # fmt: skip
        for manifest in self._manifests:
            if check := by_kind.get(manifest["kind"]):
                lines += [f"{name_of(manifest)}: {fault}" for fault in check(manifest)]
        # Once, however many variables come of one Secret.
        return list(dict.fromkeys(lines))

    def _twice(self) -> Iterator[str]:
        for name in self._all:
            if sum(name_of(manifest) == name for manifest in self._manifests) > 1:
                yield f"{name}: is there twice"

    def _needed(self, pod: Pod, kind: str, name: str) -> Iterator[str]:
        """Check that an object is there, and is made before a hook that needs it."""
        found = self._all.get(f"{kind}/{name}")
        if found is None:
            yield f"{kind} {name} is not there"
            return
        events, weight = hook_of(pod.owner)
        first = {event for event in events if event.startswith("pre-")}
        made, when = hook_of(found)
        if first and not (first <= made and when < weight):
            yield f"{kind} {name} is made after {', '.join(sorted(first))} needs it"
        gone = found["metadata"].get("annotations", {}).get("helm.sh/hook-delete-policy", "")
        if not first and made and "hook-succeeded" in gone:
            yield f"{kind} {name} is removed before this needs it"

    def _keyed(self, pod: Pod, kind: str, reference: Manifest) -> Iterator[str]:
        name, key = reference["name"], reference.get("key")
        if kind == "Secret" and name in self._given.secrets:
            keys: Collection[str] = self._given.secrets[name]
        else:
            yield from self._needed(pod, kind, name)
            found = self._all.get(f"{kind}/{name}")
            if found is None:
                return
            keys = {**found.get("data", {}), **found.get("stringData", {})}
        if key is not None and key not in keys and not reference.get("optional"):
            yield f"{kind} {name} has no key {key}"

    def _labels(self, pod: Pod) -> Iterator[str]:
        selector = pod.owner["spec"].get("selector", {}).get("matchLabels", {})
        if not selector.items() <= pod.labels.items():
            yield "its selector does not select its pods"

    def _volumes(self, pod: Pod) -> Iterator[str]:
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
        mounted = set()
        for container in pod.containers:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            if len(paths) > len(set(paths)):
                yield f"container {container['name']} mounts two volumes at one path"
            for mount in container.get("volumeMounts", ()):
                mounted.add(mount["name"])
                if mount["name"] not in volumes:
                    yield f"volume {mount['name']} is not there"
        for name in volumes.keys() - mounted:
            yield f"volume {name} is mounted nowhere"
        for volume in volumes.values():
            if "configMap" in volume:
                yield from self._keyed(pod, "ConfigMap", volume["configMap"])
            if "secret" in volume:
                named = {"name": volume["secret"]["secretName"]}
                yield from self._keyed(pod, "Secret", named)

    def _variables(self, pod: Pod) -> Iterator[str]:
        for container in pod.containers:
            seen: set[str] = set()
            for variable in container.get("env", ()):
                if variable["name"] in seen:
                    yield f"variable {variable['name']} is set twice"
                for name in _REFERENCE.findall(str(variable.get("value", ""))):
                    if name not in seen:
                        yield f"{variable['name']} uses $({name}), which is not set before it"
                yield from self._source(pod, variable.get("valueFrom", {}), "KeyRef")
                seen.add(variable["name"])
            for source in container.get("envFrom", ()):
                yield from self._source(pod, source, "Ref")

    def _source(self, pod: Pod, source: Manifest, ending: str) -> Iterator[str]:
        for kind, field in (("Secret", "secret"), ("ConfigMap", "configMap")):
            if field + ending in source:
                yield from self._keyed(pod, kind, source[field + ending])

    def _ports(self, pod: Pod) -> Iterator[str]:
        for container in pod.containers:
            for probe in _PROBES:
                asked = container.get(probe, {})
                for way in ("httpGet", "tcpSocket", "grpc"):
                    if way in asked and not pod.listens(asked[way]["port"]):
                        yield f"{probe} asks port {asked[way]['port']}, which no container has"

    def _account(self, pod: Pod) -> Iterator[str]:
        if account := pod.spec.get("serviceAccountName"):
            yield from self._needed(pod, "ServiceAccount", account)

    def _images(self, pod: Pod) -> Iterator[str]:
        for container in pod.containers:
            image = container.get("image", "")
            match = _IMAGE.fullmatch(image)
            if not match or match[1] not in self._given.images:
                yield f"image {image} is not built here"
            elif "@" not in image and match[2] in (None, "latest"):
                yield f"image {image} names no version"

    def _service(self, service: Manifest) -> Iterator[str]:
        pods = selected(self._pods, service["spec"]["selector"])
        if not pods:
            yield "selects no pod"
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if any(not pod.listens(target) for pod in pods):
                yield f"port {target} is none of its pods'"

    def _ingress(self, ingress: Manifest) -> Iterator[str]:
        hosts = {host for each in ingress["spec"].get("tls", ()) for host in each["hosts"]}
        for rule in ingress["spec"]["rules"]:
            if rule["host"] not in hosts:
                yield f"{rule['host']} has no certificate"
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = self._all.get(f"Service/{backend['name']}")
                if service is None:
                    yield f"Service {backend['name']} is not there"
                    continue
                ports = {value for port in service["spec"]["ports"]
                         for value in (port.get("name"), port["port"])}  # fmt: skip
                if not ports & {*backend["port"].values()}:
                    yield f"Service {backend['name']} has no port {backend['port']}"

    def _scaler(self, scaler: Manifest) -> Iterator[str]:
        target = scaler["spec"]["scaleTargetRef"]
        found = self._all.get(f"{target['kind']}/{target['name']}")
        if found is None or found["apiVersion"] != target["apiVersion"]:
            yield f"{target['kind']} {target['name']} is not there"
        elif "replicas" in found["spec"]:
            yield f"{target['kind']} {target['name']} sets its replicas back at each upgrade"
        if scaler["spec"]["minReplicas"] > scaler["spec"]["maxReplicas"]:
            yield "its minimum is above its maximum"

    def _budget(self, budget: Manifest) -> Iterator[str]:
        if not selected(self._pods, budget["spec"]["selector"]["matchLabels"]):
            yield "selects no pod"
        if budget["spec"].get("maxUnavailable") in (0, "0%"):
            yield "lets no node be drained"

    def _policy(self, policy: Manifest) -> Iterator[str]:
        pods = selected(self._pods, policy["spec"]["podSelector"].get("matchLabels", {}))
        if not pods:
            yield "selects no pod"
        for rule in policy["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                if any(not pod.listens(port["port"]) for pod in pods):
                    yield f"lets in at port {port['port']}, which its pods have not"
        for rule in policy["spec"].get("egress", ()):
            yield from self._ways_out(rule)

    def _ways_out(self, rule: Manifest) -> Iterator[str]:
        for peer in rule.get("to", ()):
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            # Pods of other releases are not known here.
            if "app.kubernetes.io/component" not in labels:
                continue
            pods = selected(self._pods, labels)
            if not pods:
                yield f"lets out to {labels['app.kubernetes.io/component']}, which is not there"
            for port in rule["ports"]:
                if any(not pod.listens(port["port"]) for pod in pods):
                    yield f"lets out to port {port['port']}, which nobody has"

    def _monitor(self, monitor: Manifest) -> Iterator[str]:
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = [each for each in self._manifests if each["kind"] == "Service"
                    and wanted <= each["metadata"]["labels"].items()]  # fmt: skip
        if not services:
            yield "selects no Service"
        names = {port.get("name") for each in services for port in each["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in names:
                yield f"no Service has a port {endpoint['port']}"
            asked = endpoint.get("oauth2", {})
            if not asked:
                continue
            client = Pod(monitor, {}, {"containers": []})
            yield from self._keyed(client, "ConfigMap", asked["clientId"]["configMap"])
            yield from self._keyed(client, "Secret", asked["clientSecret"])
