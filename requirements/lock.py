"""Pin all dependencies with hashes and without index addresses.

``dev.txt`` holds everything; the files for one service are parts of it, at the same versions.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
UV = str(Path(sys.executable).with_name("uv"))
OPTIONS = [
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
]
SERVICES = {
    "api": ["api", "traces"],
    "airflow": ["workers", "accounts", "train"],
    "mlflow": ["tracking"],
    "console": ["console"],
}


def compile_requirements(name: str, *arguments: str) -> None:
    """Write ``requirements/<name>.txt``."""
    output = HERE / f"{name}.txt"
    command = [
        UV,
        "pip",
        "compile",
        *arguments,
        *OPTIONS,
        "--output-file",
        str(output),
        *sys.argv[1:],
    ]
    subprocess.run(command, check=True, cwd=HERE.parent)


compile_requirements(
    "dev", "pyproject.toml", "--extra=stack", "--extra=notebook", "--extra=baselines",
    "--extra=ray", "--group=dev",
)  # fmt: skip
constraint = "--constraint=requirements/dev.txt"
for service, own in SERVICES.items():
    compile_requirements(
        service, "pyproject.toml", *(f"--extra={extra}" for extra in own), constraint
    )
compile_requirements("bootstrap", "requirements/bootstrap.in", constraint)
# In an environment of its own: what checks the chart pins other versions.
compile_requirements("chart", "requirements/chart.in")
