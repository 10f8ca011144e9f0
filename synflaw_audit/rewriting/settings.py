"""What a rewriting can be told: a TOML file in which nothing but what is known may stand.

```toml
candidates = 4                    # forms that are tried for each answer
model = "my-model"                # as an endpoint knows it; the only one it serves if not given
key_variable = "OPENAI_API_KEY"   # the environment variable with its key
requests_at_a_time = 8
requests_per_minute = 300
retries = 5                       # of a request that fails, each after twice the pause
pause = 1.0                       # seconds, the first
timeout = 300                     # seconds
most_tokens = 2_000_000           # of prompts and answers together; then it stops asking
price_per_million = { prompt = 0.15, answer = 0.60 }  # for the estimate of --dry-run

credibility = "embedder"          # or the name of a cross-encoder or NLI model, or "none"
least_coverage = 0.5              # of the content's words
most_entropy = 0.8                # bits, of the judgement that an answer belongs to its question
rounds = 3                        # of audits of the rewrites as a corpus

[mixture.layout]                  # and length, register, opening: weights
prose = 2
list = 1
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from synflaw_audit import strict_toml
from synflaw_audit.rewriting.judges.credibility import MOST_ENTROPY
from synflaw_audit.rewriting.mixture import Mixture

Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Price:
    """What a million tokens cost, in whichever currency.

    Attributes:
        prompt: Of prompts.
        answer: Of answers.
    """

    prompt: Annotated[float, Meta(ge=0)] = 0.0
    answer: Annotated[float, Meta(ge=0)] = 0.0


@dataclass(frozen=True)
class RewriteSettings:
    """What a rewriting is told.

    Attributes:
        candidates: Forms that are tried for each answer.
        mixture: Of the forms.
        rounds: How often the rewrites are audited as a corpus, and those in which a format is found
            give way to another candidate.
        least_coverage: The share of the content's words that a rewrite must have.
        most_entropy: Of the judgement of its credibility, in bits.
        credibility: Who gives that judgement: "embedder", a model by name, or "none".
        prompts: A folder with prompts of one's own.
        model: As an endpoint knows it.
        key_variable: The environment variable that holds an endpoint's key.
        requests_at_a_time: To an endpoint.
        requests_per_minute: To an endpoint, at most.
        retries: Of a request that fails in a way that may pass.
        pause: Seconds before the first of them; it doubles.
        timeout: Seconds that an answer may take.
        most_tokens: Of an endpoint, at most; as many as it takes if None.
        price_per_million: Of its tokens.
        seed: Of everything drawn.
    """

    candidates: Count = 4
    mixture: Mixture = field(default_factory=Mixture)
    rounds: Count = 3
    least_coverage: Fraction = 0.5
    most_entropy: Fraction = MOST_ENTROPY
    credibility: str = "embedder"
    prompts: Path | None = None
    model: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    requests_at_a_time: Count = 8
    requests_per_minute: Count = 300
    retries: Annotated[int, Meta(ge=0)] = 5
    pause: Annotated[float, Meta(ge=0)] = 1.0
    timeout: Annotated[float, Meta(gt=0)] = 300.0
    most_tokens: Count | None = None
    price_per_million: Price = field(default_factory=Price)
    seed: int = 0


def load_settings(path: Path) -> RewriteSettings:
    """Reads a settings file.

    Raises:
        CatalogueError: It is not valid; the message names file and key.
        InputError: A mixture has no weight above 0.
    """
    return strict_toml.load(path, RewriteSettings)
