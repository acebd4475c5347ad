"""Rounds and trainings in words."""

from presagio.jobs.summaries import round_in_words, training_in_words, waiting_in_words

NONE = {
    "files": 0, "files_quarantined": 0, "files_duplicate": 0, "rows_processed": 0,
    "rows_quarantined": 0,
}  # fmt: skip


def test_a_round_says_what_was_taken_refused_and_there_before() -> None:
    total = NONE | {
        "files": 12, "files_quarantined": 7, "files_duplicate": 1, "rows_processed": 1200,
        "rows_quarantined": 3,
    }  # fmt: skip
    refused = [("incoming/a.csv", "empty"), ("incoming/b.csv", "too_many_bad_rows")]
    assert round_in_words(total, refused) == (
        "12 files filed: 1,200 rows taken, 3 set aside; 7 files refused whole: incoming/a.csv "
        "(empty), incoming/b.csv (too_many_bad_rows) and 5 more; 1 file filed before."
    )


def test_a_round_of_one_row_is_in_the_singular() -> None:
    assert round_in_words(NONE | {"files": 1, "rows_processed": 1}) == (
        "1 file filed: 1 row taken, 0 set aside."
    )
    assert round_in_words(NONE) == "No file was filed."


def test_a_training_ends_with_what_the_api_serves() -> None:
    trained = {"summary": "**Version 7 is not promoted.** no better"}
    served = {"model": "svm_prod", "version": "6", "degraded": False}
    assert training_in_words(trained, served) == (
        "**Version 7 is not promoted.** no better\n\nThe API serves svm_prod version 6."
    )
    assert training_in_words(trained, served | {"degraded": True}).endswith("6, its fallback.")
    unreachable = training_in_words(trained, {"unreachable": "no route"})
    assert unreachable.endswith("The API was not reached; it follows the champion by itself.")


def test_too_few_rows_are_no_failure_but_a_sentence() -> None:
    counted = {"new_rows": 1, "wanted": 10_000, "after": 3}
    assert waiting_in_words(counted) == ("Nothing was trained: 1 labelled row new, 10,000 wanted.")
