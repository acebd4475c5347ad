"""Addresses of MLflow's pages, in its view for model training.

MLflow opens its pages in the view for generative AI, which hides registered models, unless an
address asks for the other one. Without an address of the server a link is relative to MLflow's
pages themselves: right in what they show, whatever the server is called from outside.
"""

from urllib.parse import quote

MODEL_TRAINING = "?workflowType=machine_learning"


def _page(url: str, *parts: str) -> str:
    path = "/".join(quote(part, safe="") for part in parts)
    start = f"{url.rstrip('/')}/" if url else ""
    return f"{start}#/{path}{MODEL_TRAINING}"


def models_page(url: str = "") -> str:
    """Return the address of the list of registered models."""
    return _page(url, "models")


def model_page(name: str, version: str | None = None, *, url: str = "") -> str:
    """Return the address of a registered model, or of one version of it."""
    return _page(url, "models", name, *(() if version is None else ("versions", version)))


def run_page(experiment: str, run: str, *, url: str = "") -> str:
    """Return the address of a run, by the ids of its experiment and itself."""
    return _page(url, "experiments", experiment, "runs", run)


def artifact_page(experiment: str, run: str, path: str, *, url: str = "") -> str:
    """Return the address of a run's artifact, as MLflow shows it beside the run."""
    return _page(url, "experiments", experiment, "runs", run, "artifacts", *path.split("/"))
