"""A journal of answers on a disk that is full in the middle of a write."""

import resource
from pathlib import Path

import numpy as np
import pytest

from presagio.inference.predictor import Prediction
from presagio.serving.answer_block import AnswerBlock, AnsweredBy, Columns, RowLayout
from presagio.serving.answer_journal import Journal, read_journal

_SERVED = AnsweredBy("svm_prod", "1", degraded=False)


def _answer(block: AnswerBlock, rows: int) -> None:
    answers = Prediction(np.zeros(rows), np.zeros(rows), np.zeros(rows, np.bool_))
    block.extend("request", np.ones((rows, 2)), answers, _SERVED)


def test_what_a_full_disk_took_of_a_frame_ends_nothing_that_comes_after_it(tmp_path: Path) -> None:
    block = AnswerBlock(RowLayout(Columns(("a", "b"), 2, ())))
    journal = Journal(tmp_path, "answers")
    _answer(block, 10)
    journal.append(block, block.rows)
    (path,) = tmp_path.iterdir()
    _answer(block, 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system takes a part of a write, and says how much.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5000, hard))
    try:
        with pytest.raises(OSError, match="answers"):
            journal.append(block, block.rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_journal(path).rows == 10
    journal.append(block, block.rows)
    _answer(block, 5)
    journal.append(block, block.rows)
    journal.release()
    assert read_journal(path).rows == 1015
