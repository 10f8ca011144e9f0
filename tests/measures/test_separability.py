from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from measured import corpus_of
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from synflaw_audit import audit
from synflaw_audit.findings.report import Finding
from synflaw_audit.measures.separability import (
    RIDGE,
    Separability,
    cross_validated_auc,
    picture,
)
from synflaw_audit.verdicts.catalogue import find_check, load_checks
from synflaw_audit.verdicts.gate import decide

CHECK = find_check(load_checks(), "separability")


def drawn(seed: int, rows: int, words: int = 60, suffix: str = "") -> list[str]:
    """Answers of twelve words drawn from one vocabulary."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"word{n}" for n in rng.integers(0, words, 12)) + suffix for _ in range(rows)]


def score(ours: list[str], theirs: list[str]) -> tuple[float, float]:
    asked = [f"p{number}" for number in range(len(theirs))]
    corpus = replace(corpus_of(ours), reference=corpus_of(theirs, asked))
    found = Separability().score(corpus)
    return found.value, found.observed["p_value"]


def test_the_auc_is_that_of_ridge_regression_fold_by_fold() -> None:
    rng = np.random.default_rng(0)
    vectors, fold = rng.normal(size=(120, 5)), rng.integers(0, 4, 120)
    labels = rng.random((120, 3)) < 0.5
    labels[:, 0] = vectors[:, 0] + rng.normal(size=120) > 0
    expected = []
    for column in labels.T:
        aucs = []
        for held in (fold == number for number in range(4)):
            # scikit-learn leaves the intercept free of the penalty too.
            fitted = Ridge(alpha=RIDGE).fit(vectors[~held], np.where(column[~held], 1.0, -1.0))
            aucs.append(roc_auc_score(column[held], fitted.predict(vectors[held])))
        expected.append(np.mean(aucs))
    assert cross_validated_auc(vectors, labels, fold) == pytest.approx(expected, abs=1e-6)


def test_draws_from_one_source_cannot_be_told_apart() -> None:
    value, p_value = score(drawn(1, 400), drawn(2, 400))
    assert value < 0.15
    assert p_value > 0.01


def test_a_form_that_the_reference_lacks_sets_apart() -> None:
    value, p_value = score(drawn(1, 400, suffix=" so be it"), drawn(2, 400))
    assert value > 0.95
    assert p_value == pytest.approx(1 / 200)


def test_answers_to_one_question_do_not_give_the_side_away() -> None:
    # Every question has a word of its own in all of its answers, on one side only. A classifier
    # that saw some answers to a question would know where the others belong.
    words = [f"word{number}" for number in range(100)]
    ours, theirs = ([words[number // 8] + f" {number}" for number in range(*span)]
                    for span in ((0, 400), (400, 800)))  # fmt: skip
    asked = [f"q{number // 8}" for number in range(800)]
    corpus = replace(corpus_of(ours, asked[:400]), reference=corpus_of(theirs, asked[400:]))
    assert Separability().score(corpus).value < 0.3


def found(reference: pd.DataFrame | None) -> Finding:
    rows = pd.DataFrame({"question": "q", "answer": drawn(1, 200)})
    return audit(rows, reference=reference, checks=[CHECK]).checks[0]


def test_without_a_reference_the_check_is_undecided_and_says_why() -> None:
    finding = found(None)
    assert (finding.verdict, finding.low, finding.high) == ("undecided", 0, 1)
    assert "reference" in finding.observed["reason"]


def test_with_a_reference_the_check_decides() -> None:
    finding = found(pd.DataFrame({"question": "q", "answer": drawn(2, 200)}))
    assert finding.verdict == "pass"
    few = found(pd.DataFrame({"question": "q", "answer": drawn(2, 5)}))
    assert few.verdict == "undecided"
    assert "10 rows" in few.observed["reason"]


def test_a_missing_reference_fails_no_strict_gate() -> None:
    rows = pd.DataFrame({"question": "q", "answer": drawn(1, 200)})
    checks = [CHECK, find_check(load_checks(), "answer-duplicate")]
    assert decide(audit(rows, checks=checks), strict=True).exit_code == 0


def test_the_picture_shows_both_corpora() -> None:
    corpus = replace(corpus_of(drawn(1, 60, suffix=" so be it")), reference=corpus_of(drawn(2, 60)))
    seen = picture(corpus, rows=50)
    assert seen.places.shape == (100, 2)
    assert seen.reference.sum() == 50
    assert np.isfinite(seen.places).all()
    assert (picture(corpus, rows=50).places == seen.places).all()
    with pytest.raises(ValueError, match="reference"):
        picture(corpus_of(["a"]))


@pytest.mark.parametrize("params", [{"rows": 3}, {"permutations": 0}])
def test_parameters_out_of_range_are_refused(params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        Separability(**params)
