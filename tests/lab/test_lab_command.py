import pytest
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.lab.arms import ABLATION, ARMS, METHODS
from synflaw_audit.lab.run import Lab


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--preset", "huge"], "tiny, small, medium"),
        (["--world", "flat"], "bound, leaking, overwritten"),
    ],
)
def test_a_wrong_choice_is_named_with_the_right_ones(options: list[str], named: str) -> None:
    result = CliRunner().invoke(app, ["lab", *options])
    assert result.exit_code == 2
    assert named in result.output


@pytest.mark.parametrize(
    ("options", "arms"),
    [
        ([], ARMS),
        (["--methods"], METHODS),
        (["--ablation"], ABLATION),
        (["--methods", "--ablation"], (*ABLATION, *METHODS)),
    ],
)
def test_options_choose_the_arms(
    options: list[str], arms: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    labs: list[Lab] = []
    monkeypatch.setattr(Lab, "run", lambda lab, seeds: labs.append(lab) or ())
    assert CliRunner().invoke(app, ["lab", *options]).exit_code == 0
    assert labs[0].arms == arms


def test_a_sweep_tries_every_rate_of_what_is_tuned_and_that_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labs: list[Lab] = []
    monkeypatch.setattr(Lab, "run", lambda lab, seeds: labs.append(lab) or ())
    assert CliRunner().invoke(app, ["lab", "--sweep"]).exit_code == 0
    tried = {arm.name: arm for arm in labs[0].arms}
    for arm in ARMS:
        found = [name for name in tried if name.startswith(f"{arm.name}, learning_rate ")]
        assert len(found) == len(arm.tuned.get("learning_rate", ()))
        assert (arm.name in tried) == (not arm.tuned)
