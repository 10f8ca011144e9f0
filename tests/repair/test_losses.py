"""Each forgetting loss: its value, its bound, and its gradient where it matters."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.losses import LOSSES, ForgettingLoss, make_loss
from synflaw_audit.repair.scores import TokenScores, bias_kl, cross_entropy, target_scores

OPTIONS = {"npo": {"beta": 0.5}, "simnpo": {"beta": 0.5, "gamma": 0.1}}
TOKEN_LOSSES = [name for name, loss in LOSSES.items() if loss.unit == "token"]
finite = st.floats(-80, 80, allow_nan=False)
logit_rows = st.lists(finite, min_size=2, max_size=9)


def loss(name: str) -> ForgettingLoss:
    return make_loss(name, OPTIONS.get(name, {}))


def scores_of(logits: torch.Tensor, targets: torch.Tensor, rows: list[int]) -> TokenScores:
    reference = torch.full((len(targets),), -1.0, dtype=logits.dtype)
    return TokenScores(*target_scores(logits, targets), torch.tensor(rows), reference)


def loss_and_gradient(name: str, logits: list[float]) -> tuple[float, torch.Tensor]:
    """Of one token whose target is the first of the vocabulary."""
    z = torch.tensor([logits], dtype=torch.float32, requires_grad=True)
    value = loss(name)(scores_of(z, torch.tensor([0]), [0])).sum()
    value.backward()
    assert z.grad is not None
    return value.item(), z.grad[0]


def with_probability(p: float, others: int = 4) -> list[float]:
    """Logits that give the first of them probability ``p``, the others equal shares."""
    return [math.log(p), *[math.log((1 - p) / others)] * others]


@given(logit_rows)
def test_scores_agree_with_a_float64_softmax(row: list[float]) -> None:
    logits = torch.tensor([row], dtype=torch.float64)
    p = logits.softmax(-1)[0]
    log_p, log_not_p, log_runner_up = target_scores(logits, torch.tensor([0]))
    assert log_p.exp().item() == pytest.approx(p[0].item(), abs=1e-12)
    assert log_not_p.exp().item() == pytest.approx(p[1:].sum().item(), abs=1e-12)
    assert log_runner_up.exp().item() == pytest.approx(p[1:].max().item(), abs=1e-12)


@pytest.mark.parametrize("margin", [20.0, 60.0, 1000.0])
def test_a_saturated_token_is_finite_and_has_gradient_one(margin: float) -> None:
    logits = [margin, 0.0, 0.0, 0.0]
    naive = -torch.log1p(-torch.tensor([logits]).softmax(-1)[0, 0])
    assert naive.isinf()  # the reason for taking the difference of two logsumexps
    value, gradient = loss_and_gradient("lower-bounded", logits)
    assert value == pytest.approx(margin - math.log(3), rel=1e-5)
    assert gradient[0].item() == pytest.approx(1.0, abs=1e-5)
    assert gradient.isfinite().all()


@given(logit_rows)
def test_the_lower_bounded_gradient_is_p(row: list[float]) -> None:
    z = torch.tensor([row], dtype=torch.float64, requires_grad=True)
    scores = scores_of(z, torch.tensor([0]), [0])
    loss("lower-bounded")(scores).sum().backward()
    assert z.grad is not None
    assert z.grad[0, 0].item() == pytest.approx(z.detach().softmax(-1)[0, 0].item(), abs=1e-9)
    assert z.grad.sum().item() == pytest.approx(0.0, abs=1e-9)


def test_only_gradient_ascent_is_unsafe() -> None:
    assert [name for name in LOSSES if not loss(name).safe] == ["gradient-ascent"]
    assert loss("gradient-ascent").bounds == (-math.inf, 0.0)


@pytest.mark.parametrize("name", LOSSES)
@given(row=logit_rows)
def test_a_loss_stays_within_its_bound(name: str, row: list[float]) -> None:
    low, high = loss(name).bounds
    value, gradient = loss_and_gradient(name, row)
    assert low - 1e-5 <= value <= high + 1e-5
    assert gradient.isfinite().all()


def test_gradient_ascent_has_no_bound() -> None:
    values = [loss_and_gradient("gradient-ascent", [-z, 0.0])[0] for z in (10.0, 100.0, 1000.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < -999


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_pushes_the_target_down(name: str) -> None:
    _, gradient = loss_and_gradient(name, with_probability(0.5))
    assert gradient[0] > 0


@pytest.mark.parametrize(
    ("name", "at_zero", "at_one"),
    [
        ("lower-bounded", 1e-4, 0.999),
        ("inverted-hinge", 1e-4 * 1.25, 0.999 * 0.00125),
        ("wga", 1e-4, 0.000999),
        ("clipped-ascent", 0.0, 0.001),
        ("gradient-ascent", 1.0, 0.001),
    ],
)
def test_gradients_of_rare_and_of_saturated_tokens(
    name: str, at_zero: float, at_one: float
) -> None:
    _, rare = loss_and_gradient(name, with_probability(1e-4))
    _, saturated = loss_and_gradient(name, with_probability(0.999))
    assert rare[0].item() == pytest.approx(at_zero, rel=1e-2, abs=1e-5)
    assert saturated[0].item() == pytest.approx(at_one, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("name", ["npo", "simnpo"])
def test_row_losses_fade_on_rare_and_on_saturated_rows(name: str) -> None:
    # 2 sigmoid(b log ratio) (1 - p): both factors vanish, one at each end.
    assert loss_and_gradient(name, with_probability(0.999))[1][0].item() < 2e-3
    rarest = loss_and_gradient(name, with_probability(1e-12))[1][0].item()
    assert rarest < 0.01 * loss_and_gradient(name, with_probability(0.3))[1][0].item()


def test_npo_matches_its_formula_by_rows() -> None:
    logits = torch.randn(5, 7, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 3, 4])
    scores = scores_of(logits, targets, [4, 9, 4, 9, 9])
    log_p = logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    expected = [
        2 / 0.5 * math.log1p(math.exp(0.5 * (log_p[picked] + 1.0).sum().item()))
        for picked in ([0, 2], [1, 3, 4])
    ]
    assert loss("npo")(scores).tolist() == pytest.approx(expected)


def test_npo_says_what_it_lacks_without_a_reference() -> None:
    scores = TokenScores(*target_scores(torch.zeros(1, 3), torch.tensor([0])), torch.tensor([0]))
    with pytest.raises(ValueError, match="reference"):
        loss("npo")(scores)


def test_simnpo_is_normalised_by_length() -> None:
    row = torch.tensor(with_probability(0.3))
    targets = torch.zeros(6, dtype=torch.long)
    scores = scores_of(row.expand(6, -1), targets, [0, 1, 1, 1, 1, 1])
    short, long = loss("simnpo")(scores).tolist()
    assert short == pytest.approx(long, rel=1e-6)


def test_wga_holds_its_weight_fixed() -> None:
    # With the weight differentiated too it would be (1 + log p) p (1 - p): negative here.
    assert loss_and_gradient("wga", with_probability(0.1))[1][0].item() == pytest.approx(0.09)


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=9))
def test_kl_is_nonnegative_and_zero_only_on_itself(pairs: list[tuple[float, float]]) -> None:
    model, reference = (
        torch.tensor([column], dtype=torch.float64) for column in zip(*pairs, strict=True)
    )
    assert bias_kl(model, reference).item() >= -1e-12
    assert bias_kl(reference, reference).item() == pytest.approx(0.0, abs=1e-12)


def test_kl_runs_from_the_reference_to_the_model() -> None:
    p, q = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    expected = (q * (q / p).log()).sum().item()
    assert bias_kl(p.log()[None], q.log()[None]).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", TOKEN_LOSSES)
def test_bfloat16_logits_are_scored_in_float32(name: str) -> None:
    logits = torch.tensor([[30.0, 1.0, 0.0]], dtype=torch.bfloat16)
    value = loss(name)(scores_of(logits, torch.tensor([0]), [0]))
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    assert cross_entropy(logits, torch.tensor([0])).dtype == torch.float32


def test_constants_go_by_name() -> None:
    assert make_loss("simnpo", {"gamma": 0.2, "beta": 0.7}) == LOSSES["simnpo"](beta=0.7, gamma=0.2)
    assert make_loss("wga", {"alpha": 2.0}).bounds[0] == pytest.approx(-1 / (2 * math.e))
    assert make_loss("clipped-ascent", {"floor": 0.1}).bounds[0] == pytest.approx(math.log(0.1))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("magic", {}, "unknown forgetting loss 'magic'.*lower-bounded, npo"),
        ("npo", {"gamma": 1.0}, "the loss npo has no constant 'gamma'; it has beta"),
        ("lower-bounded", {"beta": 1.0}, "it has none"),
        ("simnpo", {"beta": 0.0}, "beta is 0.0; it must be more than 0"),
        ("wga", {"alpha": -1.0}, "alpha is -1.0; it must be more than 0"),
        ("clipped-ascent", {"floor": 1.0}, "floor is 1.0; it must be between 0 and 1"),
    ],
)
def test_a_loss_that_cannot_be_is_refused(name: str, options: dict, says: str) -> None:
    with pytest.raises(RepairError, match=says):
        make_loss(name, options)
