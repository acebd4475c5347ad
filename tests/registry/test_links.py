import pytest

from presagio.registry.links import artifact_page, model_page, models_page, run_page

VIEW = "?workflowType=machine_learning"


@pytest.mark.parametrize(
    ("link", "page"),
    [
        (models_page("http://m:5000/"), "http://m:5000/#/models"),
        (model_page("svm_prod", url="http://m:5000"), "http://m:5000/#/models/svm_prod"),
        (model_page("svm_prod", "7"), "#/models/svm_prod/versions/7"),
        (run_page("1", "abc"), "#/experiments/1/runs/abc"),
        (artifact_page("1", "abc", "report/card.html"),
         "#/experiments/1/runs/abc/artifacts/report/card.html"),
        (model_page("a/b?c#d"), "#/models/a%2Fb%3Fc%23d"),
    ],
)  # fmt: skip
def test_links_open_the_view_for_model_training(link: str, page: str) -> None:
    assert link == page + VIEW
