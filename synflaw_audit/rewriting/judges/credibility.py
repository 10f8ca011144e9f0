"""Whether an answer belongs to its question, as a discriminator that the corpus itself trains says.

The corpus's own pairs against the same questions with other rows' answers; what tells them apart is
how near both are in an embedder's space, which words they share, and how long they are; or the
score of a cross-encoder or NLI model by name. Logistic regression makes a probability of it, which
is calibrated by Platt's method on folds that it was not trained on. Both are measured on pairs that
were held out, and a discriminator that cannot tell them apart decides nothing.

Only confident judgements count: the entropy of the probability must be low. That is the
entropy-minimisation filter of C3DA (Wang et al., COLING 2022), there of a sentiment classifier's
prediction for a generated sentence; here the two classes are "belongs" and "does not".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.text.embedders import Embedder

Reals = npt.NDArray[np.float64]
Pair = tuple[str, str]

MOST_PAIRS = 2000
FEWEST_PAIRS = 50
LEAST_AUC = 0.65  # of held-out pairs, or the discriminator decides nothing
MOST_ENTROPY = 0.8  # bits; a probability of 0.76 or more
SLACK = 0.02  # how much less credible than the answer itself a rewrite may be
_HELD_OUT = 0.25
_FOLDS = 4


@dataclass(frozen=True)
class Credibility:
    """What the discriminator says of some pairs.

    Attributes:
        probability: float64 [pairs], that the answer belongs to its question; nan if it decides
            nothing.
        auc: Of held-out pairs against mismatched ones; nan if there are too few.
        brier: The mean squared error of the probability on them.
        pairs: How many of the corpus's pairs it was trained on.
    """

    probability: Reals
    auc: float
    brier: float
    pairs: int

    @property
    def decides(self) -> bool:
        """Whether it tells pairs that belong together from others well enough to be heard."""
        return self.auc >= LEAST_AUC


def entropy(probability: Reals) -> Reals:
    """The entropy of each probability, in bits."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


def objection(probability: float, original: float, most_entropy: float = MOST_ENTROPY) -> str:
    """Why a rewrite is not credible; "" if it is, or if nothing is known.

    Args:
        probability: Of the rewrite.
        original: Of what it says anew: no rewrite is asked to be more credible than that.
        most_entropy: In bits.
    """
    if np.isnan(probability) or probability >= original - SLACK:
        return ""
    if probability < 0.5:
        return f"does not belong to its question (probability {probability:.2f})"
    unsure = float(entropy(np.array([probability]))[0])
    return (
        "" if unsure <= most_entropy else f"unsure whether it belongs (entropy {unsure:.2f} bits)"
    )


def judge_credibility(
    known: Sequence[Pair],
    asked: Sequence[Pair],
    scorer: Callable[[Sequence[Pair]], Reals],
    seed: int,
) -> Credibility:
    """Trains the discriminator on a corpus's pairs, and asks it of others.

    Args:
        known: Pairs that belong together; ``MOST_PAIRS`` of them are drawn.
        asked: Pairs of which nothing is known.
        scorer: Gives the features of pairs, all of which it is shown at once: float64
            [pairs, features].
        seed: Draws the pairs, the mismatches and the folds.
    """
    rng = np.random.default_rng(seed)
    pairs = sorted(set(known))
    pairs = [pairs[i] for i in rng.permutation(len(pairs))[:MOST_PAIRS]]
    nothing = Credibility(np.full(len(asked), np.nan), np.nan, np.nan, len(pairs))
    alone, other = _mismatched(pairs, rng)
    if min(len(pairs), len(other)) < FEWEST_PAIRS:
        return nothing
    features = scorer([*pairs, *other, *asked])
    x, y = features[: len(pairs) + len(other)], np.repeat([1, 0], [len(pairs), len(other)])
    # A question stands with both of its answers on one side of the split.
    group = np.concatenate([np.arange(len(pairs)), np.array(alone)])
    held = group >= (1 - _HELD_OUT) * len(pairs)
    tested = _trained(x[~held], y[~held], group[~held]).predict_proba(x[held])[:, 1]
    auc, brier = _figures(y[held], tested)
    if not auc >= LEAST_AUC:
        return Credibility(nothing.probability, auc, brier, len(pairs))
    final = _trained(x, y, group)
    return Credibility(
        np.asarray(final.predict_proba(features[len(x) :])[:, 1]) if asked else np.zeros(0),
        auc,
        brier,
        len(pairs),
    )


def _mismatched(pairs: Sequence[Pair], rng: np.random.Generator) -> tuple[list[int], list[Pair]]:
    """The numbers of pairs, and each question with another one's answer, if that says otherwise."""
    if len(pairs) < 2:
        return [], []
    order = rng.permutation(len(pairs))
    partner = dict(zip(order, np.roll(order, 1), strict=True))
    numbers = [i for i, (_, answer) in enumerate(pairs) if pairs[partner[i]][1] != answer]
    return numbers, [(pairs[i][0], pairs[partner[i]][1]) for i in numbers]


def _trained(x: Reals, y: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> _Model:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = list(GroupKFold(_FOLDS).split(x, y, group))
    return _Model(CalibratedClassifierCV(plain, method="sigmoid", cv=folds).fit(x, y))


@dataclass(frozen=True)
class _Model:
    """scikit-learn's classifier, with types."""

    fitted: object

    def predict_proba(self, x: Reals) -> Reals:
        return np.asarray(self.fitted.predict_proba(x))  # type: ignore[attr-defined]


def _figures(truth: npt.NDArray[np.int64], probability: Reals) -> tuple[float, float]:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    if len(set(truth.tolist())) < 2:
        return float("nan"), float("nan")
    return float(roc_auc_score(truth, probability)), float(brier_score_loss(truth, probability))


@dataclass(frozen=True)
class EmbeddingScorer:
    """The features of pairs by an embedder: how near question and answer are, and what they share.

    Attributes:
        embedder: Turns questions and answers into vectors of one space.
    """

    embedder: Embedder

    def __call__(self, pairs: Sequence[Pair]) -> Reals:
        """float64 [pairs, 4 + dimensions]."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: number for number, text in enumerate(texts)}
        vectors = self.embedder.embed(texts)
        one, other = (vectors[[place[pair[side]] for pair in pairs]] for side in (0, 1))
        product = one * other
        shared = np.array([_shared(*pair) for pair in pairs])
        return np.concatenate([product.sum(axis=1, keepdims=True), shared, product], axis=1)


def _shared(question: str, answer: str) -> list[float]:
    asked, answered = ({*text.lower().split()} for text in (question, answer))
    both = len(asked & answered)
    return [
        both / max(len(asked), 1),
        both / max(len(answered), 1),
        float(np.log1p(len(answered)) - np.log1p(len(asked))),
    ]


@dataclass(frozen=True)
class CrossEncoderScorer:
    """The scores of a cross-encoder or NLI model of sentence-transformers, by name or folder.

    Attributes:
        model: Its name.
    """

    model: str

    def __call__(self, pairs: Sequence[Pair]) -> Reals:
        """float64 [pairs, scores].

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            InputError: The model cannot be loaded.
        """
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingExtraError(f"the cross-encoder {self.model!r}", "embeddings") from error
        from synflaw_audit.text.weights import require_safetensors

        try:
            require_safetensors(self.model)
            model = CrossEncoder(
                self.model, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
        except InputError:
            raise
        except Exception as error:  # whatever a model's files can raise
            raise InputError(
                f"the cross-encoder {self.model!r} cannot be loaded: {error}. Choose a local model "
                "folder, or a hub name that can be reached"
            ) from error
        scores = np.asarray(model.predict(list(pairs), show_progress_bar=False), dtype=np.float64)
        return scores.reshape(len(pairs), -1)
