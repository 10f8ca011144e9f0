import pytest
from typer.testing import CliRunner

from synflaw_audit.commands.main import app


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
