"""The command that downloads the real data set."""

from presagio.cli.composition import Parts
from presagio.cli.output import AsJson, Home, print_json, progress, say
from presagio.machine.spec import load_spec
from presagio.training.datasets.download import AI4I, fetch_data


def fetch(home: Home = None, as_json: AsJson = False) -> None:
    """Download the AI4I 2020 data set from UCI (S. Matzka, CC BY 4.0), checked by SHA-256."""
    settings = Parts(home).settings
    with progress(as_json=as_json) as bar:
        task = bar.add_task("Downloading from UCI", total=None)
        path = fetch_data(
            settings.data_folder,
            AI4I,
            load_spec(),
            sha256=settings.ai4i_sha256,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"path": path})
        return
    say(f"{path}\nAI4I 2020 Predictive Maintenance Dataset, S. Matzka, CC BY 4.0")
