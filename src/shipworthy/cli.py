"""The `shipworthy` command: parses arguments, calls the study, prints sentences.

This module does *not* know how anything is done.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from shipworthy.records import InputError, in_one_line

if TYPE_CHECKING:
    from shipworthy.study import Outcome

app = typer.Typer(
    help="Is this ensemble worth shipping? Train, measure, and get a verdict that a sceptic can re-judge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

USAGE_ERROR: Any = typer.BadParameter.__base__
"""What Typer raises for a wrong command, option or argument: of Click, or of Typer's own copy of it, by version."""

Outputs = Annotated[str, typer.Option("--outputs", help="Where run folders are made; by default outputs/.", show_default=False)]


def each_reason_once(sentences: Sequence[str], reasons: Sequence[str]) -> list[str]:
    """The sentences, in which a reason that one before gave is not given again.

    Examples
    --------
    >>> each_reason_once(["note: a was not trained: no room.", "failed: notebook 1: train a: no room"], ["no room"])
    ['note: a was not trained: no room.', 'failed: notebook 1: train a: as said above']
    """
    # A notebook tells of an error by its first line.
    lines = {line for reason in reasons if (line := next(iter(reason.splitlines()), "").strip())}
    if not lines:
        return list(sentences)
    # Whole reasons only: a short one may hide in a word. And the longest first: a shorter one may be how it begins.
    either = "|".join(re.escape(line) for line in sorted(lines, key=len, reverse=True))
    whole = re.compile(rf"(?<!\w)(?:{either})(?=\s*(?:[.;,)]|$))", re.MULTILINE)
    told: list[str] = []
    above: set[str] = set()
    for sentence in sentences:
        told.append(whole.sub(lambda found: "as said above" if found[0] in above else found[0], sentence))
        above.update(whole.findall(sentence))
    return told


def complain(sentence: object) -> None:
    """Say on stderr what is wrong, in one line."""
    typer.echo(f"shipworthy: {in_one_line(sentence)}", err=True)


@app.command()
def run(
    study: Annotated[
        str, typer.Argument(help="A built-in study (`shipworthy list studies`), or the path of a study file.")
    ] = "quick",
    workers: Annotated[int, typer.Option(help="Notebooks that may train side by side; 0 = one a core, four at most.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start a new run folder even where the study has one.")] = False,
    within_minutes: Annotated[
        float | None,
        typer.Option(help="A time budget: what does not fit is left out, and said; a later run without one adds it."),
    ] = None,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Only this candidate of the study, and its members; may be given again.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this data set of the study; may be given again.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed of the study; may be given again.")] = None,
    outputs: Outputs = "",
) -> None:
    """Run a study, or go on with it where it was left; print the verdicts and where the report is."""
    from shipworthy.study import run_study
    from shipworthy.study.progress import progress_bar

    if workers < 0:
        raise InputError(f"--workers must be 0 (one a core) or more, not {workers}")
    try:
        with progress_bar() as bar:
            outcome = run_study(
                study,
                workers=workers or None,
                fresh=fresh,
                within_minutes=within_minutes,
                candidates=candidate or (),
                datasets=dataset or (),
                seeds=seed or (),
                outputs=outputs or None,
                announce=bar.announce,
                say=bar.say,
                show=bar.show,
            )
    except KeyboardInterrupt:
        # Typer would end with 130 too, but without a word.
        typer.echo("\nshipworthy: interrupted; what was done is kept, run the same command to go on", err=True)
        raise typer.Exit(130) from None
    _tell(outcome)
    if outcome.failed:
        raise typer.Exit(1)


def _tell(outcome: Outcome) -> None:
    """Print the verdicts, the picks, what is missing, and where the report is."""
    from shipworthy.reporting import verdict_line

    finished = outcome.run
    assessment = finished.assessment()
    typer.echo("")
    if not assessment.verdicts:
        typer.echo("The study has no ensemble of models that could be judged, so there is no verdict.")
    for verdict in assessment.verdicts:
        typer.echo(verdict_line(verdict, finished.study))
    typer.echo("")
    for pick in assessment.picks:
        where = f"{pick['dataset']}{', ' + pick['level'] if pick['level'] else ''}"
        chaser, required = pick["benchmark_chaser"]["candidate"], pick["requirements"]["candidate"]
        why = "" if required else f": {pick['requirements']['reason']}"
        typer.echo(f"{where}: a benchmark-chaser would ship {chaser}; the requirements would ship {required or 'nothing'}{why}")
    for sentence in outcome.left_out:
        typer.echo(sentence)
    if outcome.left_out:
        typer.echo("Run it again without a time budget, or with another, and it goes on from here.")
    notes = [f"note: {s}" for s in assessment.missing if s not in outcome.left_out]
    for sentence in each_reason_once([*notes, *(f"failed: {s}" for s in outcome.failed)], outcome.reasons):
        typer.echo(in_one_line(sentence), err=True)
    typer.echo(f"\nreport: {finished.report}")


@app.command()
def report(folder: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, such as outputs/quick/latest.")]) -> None:
    """Rebuild report.html, report.md, tables and figures from a run folder alone."""
    from shipworthy.study import open_run, write_report

    opened = open_run(folder)
    try:
        typer.echo(f"report: {write_report(opened)}")
    except OSError as error:
        remedy = "copy the run folder to where you may write, and remove what is in the way"
        raise InputError(f"{error.filename}: cannot be written ({error.strerror}); {remedy}") from None


@app.command("list")
def list_names(
    what: Annotated[Literal["datasets", "candidates", "notebooks", "studies"], typer.Argument(help="What to list.")],
) -> None:
    """List the names that exist, each with a sentence."""
    if what == "datasets":
        from shipworthy import datasets

        lines = [(name, datasets.summary(name)) for name in datasets.names()]
    elif what == "candidates":
        from shipworthy import candidates

        lines = [(name, candidates.sentence(name)) for name in candidates.names()]
    elif what == "notebooks":
        from shipworthy import notebooks

        lines = [(name, notebooks.title(name)) for name in notebooks.names()]
    else:
        from shipworthy import study

        lines = [(name, study.read_study(name).question) for name in study.builtin_names()]
    width = max(len(name) for name, _ in lines)
    for name, sentence in lines:
        typer.echo(f"{name:<{width}}  {sentence}")


@app.command()
def new(file: Annotated[str, typer.Argument(help="Where to write it; must end in .yaml.")]) -> None:
    """Write a commented study to edit."""
    from shipworthy.study import template

    path = Path(file)
    if path.suffix not in {".yaml", ".yml"}:
        raise InputError(f"{file}: a study file must end in .yaml; name it so")
    try:
        with path.open("x", encoding="utf-8") as opened:
            opened.write(template(file))
    except FileExistsError:
        raise InputError(f"{file}: is there already; choose another name, nothing was overwritten") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); choose another place") from None
    typer.echo(f"wrote {file}; edit it, then: shipworthy run {file}")


@app.command()
def doctor() -> None:
    """Say what this machine is, what can be measured on it, what is missing and how to get it."""
    from shipworthy.study.doctor import examine

    findings = examine()
    width = max(len(f.what) for f in findings)
    for finding in findings:
        typer.echo(f"{'ok' if finding.ok else '!!'}  {finding.what:<{width}}  {finding.found}")
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


@app.command()
def lab() -> None:
    """Open JupyterLab on the notebooks."""
    import subprocess

    from shipworthy import notebooks

    raise typer.Exit(subprocess.run([sys.executable, "-m", "jupyterlab", str(notebooks.folder())], check=False).returncode)


@app.command(hidden=True)
def tidy(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if something would change.")] = False,
) -> None:
    """Strip the committed notebooks of outputs and derive the exercises from the solutions (for developers)."""
    from shipworthy import notebooks

    suite = sorted(notebooks.folder().rglob("*.ipynb"))
    wrong = [p for p in suite if ".ipynb_checkpoints" not in p.parts and not notebooks.is_stripped(p)]
    for path in wrong:
        typer.echo(f"{'not stripped' if check else 'stripped'}: {path.name}")
        if not check:
            notebooks.strip_file(path)
    if check and wrong:
        raise typer.Exit(1)
    if not check:
        for path in notebooks.write_exercises():
            typer.echo(f"derived: {path.name}")


def main() -> None:
    """Run the command; bad input is one sentence and exit code 2, an interrupt exit code 130."""
    try:
        code = app(prog_name="shipworthy", standalone_mode=False)
    except InputError as error:
        complain(error)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.echo("\nshipworthy: interrupted; what was done is kept, run the same command to go on", err=True)
        raise SystemExit(130) from None
    except MemoryError:
        complain("this machine has too little free memory for that; close other programs, or ask for fewer rows, and run again")
        raise SystemExit(2) from None
    except USAGE_ERROR as error:
        # Typer would say it in several lines, below its usage; who gave no command at all is shown the help.
        if sys.argv[1:]:
            said = " ".join(error.format_message().split()).rstrip(".")
            command = error.ctx.command_path if error.ctx else "shipworthy"
            complain(f"{said}; `{command} --help` shows what it takes")
        else:
            error.show()
        raise SystemExit(2) from None
    raise SystemExit(code or 0)
