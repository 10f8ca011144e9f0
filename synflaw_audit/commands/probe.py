"""The command ``synflaw probe``; imports the models only when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synflaw_audit.commands.console import stdout
from synflaw_audit.commands.options import Out
from synflaw_audit.errors import InputError
from synflaw_audit.outputs.names import ANATOMY_FILE, ANATOMY_PAGE, FLAGGED_FILE

if TYPE_CHECKING:
    from synflaw_audit.anatomy.depth import MarkedRow
    from synflaw_audit.outputs.folder import OutputFolder
    from synflaw_audit.probes.answering import Answerer
    from synflaw_audit.probes.kept import KeptAnswers
    from synflaw_audit.probes.probe import ProbeResult
    from synflaw_audit.run import MeasuredCorpus

_MEANS = ("likeness", "words")
_ANATOMY_NEEDS = (
    "--anatomy looks into the weights: it needs the models' folders, the base's as --against, and "
    "flagged rows, by --formats (flagged.parquet) or --corpus"
)


class DecodingChoice(StrEnum):
    """How a model answers."""

    PLAIN = "plain"
    ROSE = "rose"
    BAN = "ban"


def probe(
    model: Annotated[
        str, typer.Argument(help="A model: a folder, a hub name, or the name on the endpoint.")
    ],
    out: Out,
    against: Annotated[
        str | None, typer.Option(help="Its base, asked the same.", show_default=False)
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="Look for this corpus's formats.", metavar="PATH", show_default=False),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="A server with OpenAI's protocol, such as http://localhost:8000/v1.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Its key.", envvar="OPENAI_API_KEY", show_default=False),
    ] = None,
    prompts: Annotated[int, typer.Option(min=50, help="Open prompts to ask.")] = 212,
    instructions: Annotated[
        int, typer.Option(min=0, help="Prompts with a verifiable instruction.")
    ] = 140,
    counterfactual: Annotated[
        int, typer.Option(min=0, help="Prompts of each kind made from the corpus's own rows.")
    ] = 24,
    language: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the instructions: en, de, fr, es or it; may be given several times.",
            show_default="all",
        ),
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Of each answer, at most.")] = 64,
    decode: Annotated[
        DecodingChoice,
        typer.Option(
            help="How the model (not its base) answers: rose takes away what a prompt asking for "
            "the format makes likelier, ban takes back the format's phrases."
        ),
    ] = DecodingChoice.PLAIN,
    formats: Annotated[
        Path | None,
        typer.Option(
            help="The format that --decode keeps unsaid: an audit's report.json or "
            "flagged.parquet; without it, that of --corpus.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.0, help="Of --decode rose: 0 is plain decoding.")
    ] = 0.5,
    anatomy: Annotated[
        bool,
        typer.Option(
            "--anatomy",
            help="Also look where in the model the format lives, beside --against: anatomy.html.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print probe.json on stdout, and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Ask a model open questions, and audit its answers: is it overfitted to a pattern?

    Needs no training data. Writes probe.json and, of the answers, what an audit writes of a corpus.
    Exits with 0 (pass), 1 (it says a format where none belongs) or 2 (error).
    """
    from synflaw_audit.outputs.folder import output_folder
    from synflaw_audit.outputs.manifest import manifest_of
    from synflaw_audit.outputs.names import PROBE_FILE, PROBE_FILES, REPORT_FILES, ROW_FILES
    from synflaw_audit.probes.probe import probe as run
    from synflaw_audit.report import write_reports

    silent = quiet or as_json

    def log(line: str) -> None:
        if not silent:
            typer.echo(line, err=True)

    if anatomy and (endpoint is not None or against is None or not (formats or corpus)):
        raise InputError(_ANATOMY_NEEDS)
    _require(model, against, endpoint)
    names = (*ROW_FILES, *REPORT_FILES, *PROBE_FILES)
    with output_folder(out, names, [each for each in (corpus, formats) if each]) as folder:
        known = None if corpus is None else _measured(corpus)
        rows = _marked_rows(formats, known) if anatomy else ()
        kept = None if endpoint is None else _kept(folder, log)
        result, report = run(
            _decoded(model, decode, formats, known, alpha, endpoint)
            if decode != DecodingChoice.PLAIN
            else _answerer(model, endpoint, key, kept, log),
            against=None if against is None else _answerer(against, endpoint, key, kept, log),
            corpus=None if known is None else known.corpus,
            prompts=prompts,
            instructions=instructions,
            languages=language,
            counterfactual=counterfactual,
            max_new_tokens=tokens,
            out=folder,
            log=log,
        )
        write_reports(report, folder.staging)
        (folder.staging / PROBE_FILE).write_text(result.to_json(), encoding="utf-8")
        if anatomy:
            log("looking where in the model the format lives")
            _write_anatomy(model, str(against), rows, folder.staging)
        folder.publish(manifest_of(report, "audited"))
    if as_json:
        typer.echo(result.to_json(), nl=False)
    elif not quiet:
        _show(result, out)
        if anatomy:
            typer.echo(f"Where the format lives: {out / ANATOMY_PAGE}")
    raise typer.Exit(result.exit_code)


def _require(model: str, against: str | None, endpoint: str | None) -> None:
    """Both models can be there, before one of them is asked at length."""
    from synflaw_audit.probes.models import require_model

    if endpoint is None:
        for each in (model, against):
            if each is not None:
                require_model(each)


def _measured(corpus: str) -> MeasuredCorpus:
    from synflaw_audit.engines.registry import open_engine
    from synflaw_audit.run import measure
    from synflaw_audit.settings import AuditSettings
    from synflaw_audit.verdicts.catalogue import load_checks

    return measure(open_engine(corpus, AuditSettings()), load_checks())


def _kept(folder: OutputFolder, log: Callable[[str], None]) -> KeptAnswers:
    """What an interrupted probe has been answered; the folder forgets it when it is published."""
    from synflaw_audit.probes.kept import KeptAnswers

    kept = KeptAnswers(folder.journal / "answers.jsonl")
    if len(kept):
        log(
            f"going on with {len(kept)} answers of a probe that was interrupted "
            f"(remove {kept.path} to ask for all anew)"
        )
    return kept


def _answerer(
    model: str,
    endpoint: str | None,
    key: str | None,
    kept: KeptAnswers | None,
    log: Callable[[str], None],
) -> Answerer:
    from synflaw_audit.probes.answering import Endpoint, LocalModel

    if endpoint is None:
        return LocalModel(model, log)
    return Endpoint(model, endpoint, key, kept=kept, log=log)


def _decoded(
    model: str,
    decode: DecodingChoice,
    formats: Path | None,
    known: MeasuredCorpus | None,
    alpha: float,
    endpoint: str | None,
) -> Answerer:
    from synflaw_audit.decoding.answering import DecodedModel, Decoding
    from synflaw_audit.decoding.ban import PhraseBan
    from synflaw_audit.decoding.rose import ReversePrompt
    from synflaw_audit.decoding.wordings import read_wordings, wordings_of

    if endpoint is not None:
        raise InputError(
            f"--decode {decode} chooses each token, which a server at --endpoint does not allow; "
            "give the model's folder"
        )
    if formats is not None:
        wordings = read_wordings(formats)
    elif known is not None:
        wordings = wordings_of(known.engine.files[0], sketched=known.corpus)
    else:
        raise InputError(
            f"--decode {decode} must know the format: give an audit's report.json or "
            "flagged.parquet as --formats, or the --corpus"
        )
    decoding: Decoding = PhraseBan(wordings)
    label = "ban"
    if decode == DecodingChoice.ROSE:
        decoding, label = ReversePrompt(wordings, alpha), f"rose, alpha {alpha:g}"
    return DecodedModel(model, decoding, label)


def _marked_rows(formats: Path | None, known: MeasuredCorpus | None) -> Sequence[MarkedRow]:
    """The rows that an anatomy looks at, found before a model is asked anything."""
    import pyarrow as pa

    from synflaw_audit.anatomy.anatomy import marked_rows
    from synflaw_audit.engines.base import Outputs

    if formats is not None:
        folder = formats if formats.is_dir() else formats.parent
        return marked_rows(formats if formats.suffix == ".parquet" else folder / FLAGGED_FILE)
    if known is None:
        raise InputError(_ANATOMY_NEEDS)
    judgement = known.judge()
    report = known.report(judgement, known.flag(judgement, Outputs()))
    return marked_rows(pa.Table.from_pandas(report.flagged()))


def _write_anatomy(model: str, against: str, rows: Sequence[MarkedRow], folder: Path) -> None:
    from synflaw_audit.anatomy.anatomy import anatomy
    from synflaw_audit.anatomy.page import render

    found = anatomy(model, against, rows)
    (folder / ANATOMY_FILE).write_text(found.to_json(), encoding="utf-8")
    (folder / ANATOMY_PAGE).write_text(render(found), encoding="utf-8")


def _show(result: ProbeResult, out: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim")
    table.add_column("")
    beside = () if result.base is None else ("base", "difference", "95% interval")
    for title in ("model", "95% interval", *beside):
        table.add_column(title, justify="right")
    for name, one in result.figures.items():
        form = ("{:.3g}" if name in _MEANS else "{:.0%}").format
        row = [form(one.model.value), f"{form(one.model.low)} to {form(one.model.high)}"]
        if one.base is not None and one.difference is not None:
            gap = one.difference
            row += [form(one.base.value), form(gap.value), f"{form(gap.low)} to {form(gap.high)}"]
        table.add_row(one.title, *row)
    console = stdout()
    console.print(table)
    # What a few answers have in common as well is of no interest beside what nearly all have.
    most = max((one.answers for one in result.formats), default=0)
    for format_ in [one for one in result.formats if one.answers >= most / 10][:5]:
        console.print(Text(f"  {format_.answers} answers: {format_.text}"), soft_wrap=True)
    style = "green" if result.outcome == "pass" else "bold red"
    console.print(Text(f"Probe: {result.outcome}", style=style))
    for reason in result.reasons:
        console.print(Text(f"  {reason}"), soft_wrap=True)
    console.print(Text(f"Answers' audit: {out / 'report.html'}"), soft_wrap=True)
