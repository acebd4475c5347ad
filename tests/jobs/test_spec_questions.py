"""The questions of a draft: where they stand, and which column they are about."""

from pathlib import Path

from presagio.jobs.spec_draft import draft_spec
from presagio.jobs.spec_questions import questions_of

ROWS = "".join(f"M{n % 4},{60.5 + n % 17},1,{int(n % 10 == 0)}\n" for n in range(60))


def test_each_question_names_its_line_and_what_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text(f'machine,"Pressure # why? [bar]",same,failure\n{ROWS}')
    draft = draft_spec([path])
    found = list(questions_of(draft))
    assert [question.about for question in found] == [
        "pumps", "failure", "pressure_why_bar", "machine", "costs", "",
    ]  # fmt: skip
    assert found[-1].text.startswith('Left out: "same"')
    lines = draft.split("\n")
    assert all(question.text in lines[question.line - 1] for question in found)


def test_a_text_without_comments_asks_nothing() -> None:
    assert list(questions_of("")) == []
    assert list(questions_of('a\nb\nname = "x"\n[target]\n#\n')) == []
