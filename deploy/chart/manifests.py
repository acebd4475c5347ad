"""Kubernetes manifests as Helm renders them: pods, who makes them, and when."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True)
class Given:
    """What is there besides the manifests.

    Attributes
    ----------
    secrets
        Names of Secrets that somebody else makes, with their keys.
    images
        Names of the images that are built: the last part of a repository.
    """

    secrets: Mapping[str, Collection[str]]
    images: Collection[str]


@dataclass(frozen=True)
class Pod:
    """A pod's template, and the object that makes pods of it."""

    owner: Manifest
    labels: Mapping[str, str]
    spec: Manifest

    @property
    def containers(self) -> list[Manifest]:
        """All containers, those that run before the others among them."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def listens(self, port: str | int) -> bool:
        """Say whether a container has a port of this name or number."""
        field = "name" if isinstance(port, str) else "containerPort"
        return any(
            each.get(field) == port
            for container in self.containers
            for each in container.get("ports", ())
        )


def name_of(manifest: Manifest) -> str:
    """Return ``Kind/name``."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pods_of(manifests: Collection[Manifest]) -> list[Pod]:
    """Return the pods that a release runs."""
    found = []
    for manifest in manifests:
        if manifest["kind"] in _WORKLOADS:
            template = manifest["spec"]["template"]
            labels = template.get("metadata", {}).get("labels", {})
            found.append(Pod(manifest, labels, template["spec"]))
    return found


def selected(pods: Collection[Pod], labels: Mapping[str, str]) -> list[Pod]:
    """Return the pods that have all of these labels."""
    return [pod for pod in pods if labels.items() <= pod.labels.items()]


def hook_of(manifest: Manifest) -> tuple[set[str], int]:
    """Return at which events of Helm an object is made, and when; none: with the release."""
    annotations = manifest["metadata"].get("annotations", {})
    events = {event.strip() for event in annotations.get("helm.sh/hook", "").split(",")} - {""}
    return events, int(annotations.get("helm.sh/hook-weight", 0))
