"""Render the Helm chart, and say what is wrong with it.

Schemas of Kubernetes 1.34 to 1.37, strict; then references between objects; then Pod Security. Helm
and the schemas are what deploy/chart/tools.sh has put into .tools/chart.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from manifests import Given, name_of
from references import References
from restricted import faults as faults_of_pod

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/chart"
TOOLS = ROOT / ".tools/chart"
VERSIONS = ("1.34", "1.35", "1.36", "1.37")
# Kinds of the Prometheus operator, which Kubernetes' schemas do not have.
_OTHERS = ("ServiceMonitor",)
_VALIDATE = """
import functools, sys, warnings, yaml, kubernetes_validate
warnings.simplefilter("ignore")
# Else read anew for each object.
utils = kubernetes_validate.utils
utils.schema_contents = functools.cache(utils.schema_contents)
for manifest in yaml.load_all(sys.stdin, yaml.CSafeLoader):
    for version in sys.argv[1:]:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as err:
            place = ".".join(map(str, err.path))
            name = f"{manifest['kind']}/{manifest['metadata']['name']}"
            print(f"{name}: {place}: {err.message[:200]} (Kubernetes {version})")
"""


def have_tools(folder: Path = TOOLS) -> bool:
    """Tell whether Helm and the packages are there; ``tools.sh`` may have got one of them only."""
    return (folder / "helm").exists() and (folder / "installed.txt").exists()


def render(*arguments: str) -> list[dict[str, Any]]:
    """Render the chart as release ``presagio`` of namespace ``plant``.

    Raises
    ------
    subprocess.CalledProcessError
        If Helm refuses chart or values; its output says why.
    """
    command = [str(TOOLS / "helm"), "template", "presagio", str(CHART), "--namespace", "plant"]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


def invalid(manifests: list[dict[str, Any]]) -> list[str]:
    """Return what the schemas of Kubernetes do not take, in all versions."""
    known = [each for each in manifests if each["kind"] not in _OTHERS]
    text = yaml.dump_all(known, Dumper=yaml.CSafeDumper)
    command = [str(TOOLS / "python/bin/python"), "-c", _VALIDATE, *VERSIONS]
    done = subprocess.run(command, check=True, input=text, capture_output=True, text=True)
    return done.stdout.splitlines()


def given(secrets: list[str]) -> Given:
    """Return what is there besides the chart: Secrets with .env's variables, and our images."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    keys = {line.partition("=")[0] for line in lines if not line.startswith("#")}
    images = {path.name.split(".")[0] for path in (ROOT / "deploy/images").glob("*.Dockerfile")}
    return Given(dict.fromkeys(secrets, keys), images)


def faults(manifests: list[dict[str, Any]], secrets: list[str]) -> list[str]:
    """Return references that lead nowhere, and rights that pods should not have.

    Parameters
    ----------
    secrets
        Names of Secrets that the chart does not make, with the variables of .env.example as keys.
    """
    found = References(manifests, given(secrets)).faults()
    for manifest in manifests:
        template = manifest.get("spec", {}).get("template")
        if template is not None:
            pod = faults_of_pod(template["spec"])
            found += [f"{name_of(manifest)}: {fault}" for fault in pod]
    return found


def main() -> None:
    """Print each fault as a line; exit with 1 if there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [--secret NAME ...] --values FILE [whatever helm template takes]",
        epilog="Example: --values plant.yaml --secret presagio",
    )
    parser.add_argument("--secret", action="append", default=["presagio-external"], metavar="NAME",
                        help="a Secret that is there already, made from .env")  # fmt: skip
    options, helm = parser.parse_known_args()
    if not have_tools():
        sys.exit("Helm is not here: bash deploy/chart/tools.sh fetches it")
    try:
        manifests = render(*helm)
    except subprocess.CalledProcessError as err:
        sys.exit(err.stderr)
    lines = [*invalid(manifests), *faults(manifests, options.secret)]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.write(f"{len(manifests)} objects, {len(lines)} faults\n")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
