"""Prints the prompts that are made from a corpus's own rows, to be read.

    python benchmarks/counterfactuals.py [CORPUS] [--count 25]

Nothing is measured: whether a prompt is a sensible one, and asks for one thing, a person says.
"""

from __future__ import annotations

import argparse

from environment import heading

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.counterfactual import TITLES, counterfactuals
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", default="sample_data/templated.jsonl")
    parser.add_argument("--count", type=int, default=25, help="of each kind")
    given = parser.parse_args()
    corpus = measure(open_engine(given.corpus, AuditSettings()), load_checks()).corpus
    made = counterfactuals(corpus, given.count)
    print(heading(f"benchmarks/counterfactuals.py {given.corpus} --count {given.count}"))
    for kind, title in TITLES.items():
        asked = [each.instruction.prompt for each in made if each.kind == kind]
        if asked:
            print(f"## {title}\n")
            print(
                "\n".join(f"{i}. {' '.join(prompt.split())}" for i, prompt in enumerate(asked, 1))
            )
            print()


if __name__ == "__main__":
    main()
