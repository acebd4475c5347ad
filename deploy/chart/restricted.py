"""Pod Security's profile `restricted`, and what the chart asks of pods over and above it."""

from collections.abc import Iterator, Mapping
from typing import Any

Manifest = Mapping[str, Any]
_VOLUMES = {"configMap", "emptyDir", "secret", "projected", "persistentVolumeClaim", "downwardAPI"}


def _of_pod(pod: Manifest) -> Iterator[str]:
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not set"
    if not context.get("runAsUser"):
        yield "runs as root, or as whoever the image names"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is set"
    if pod.get("automountServiceAccountToken") is not False:
        yield "gets a token of the cluster"
    if pod.get("enableServiceLinks") is not False:
        yield "gets addresses of services as variables, which read as settings"


def _of_volumes(pod: Manifest) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        if kinds := volume.keys() - {"name"} - _VOLUMES:
            yield f"volume {volume['name']} is a {', '.join(kinds)}"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no limit"


def _of_container(container: Manifest) -> Iterator[str]:
    name, context = container["name"], container.get("securityContext", {})
    if context.get("runAsUser", 1) == 0 or context.get("runAsNonRoot", True) is False:
        yield f"container {name} runs as root"
    if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
        yield f"container {name} may get more rights"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield f"container {name} keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield f"container {name} may write into its image"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        if not {"cpu", "memory"} <= resources.get(kind, {}).keys():
            yield f"container {name} has no {kind}"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"container {name} takes a port of its node"


def faults(pod: Manifest) -> list[str]:
    """Return what a pod's spec has that the profile does not allow."""
    found = [*_of_pod(pod), *_of_volumes(pod)]
    for container in [*pod.get("initContainers", ()), *pod["containers"]]:
        found += _of_container(container)
    return found
