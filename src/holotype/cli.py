"""The command line. Heavy libraries are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from holotype.errors import HolotypeError, NotBuiltYetError

__all__ = ["app", "main"]

INTERRUPTED = 130  # what typer makes of Ctrl-C, in some versions as an exception and in some as a status

app = typer.Typer(
    name="holotype",
    help="From labelled scientific images to a classifier that can be trusted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)

RecipePath = Annotated[Path, typer.Argument(help="A recipe in YAML.", metavar="RECIPE")]
RunPath = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN")]
Changes = Annotated[
    list[str], typer.Option("--set", help="Change the recipe, as in members.0.backbone=resnet18.", metavar="KEY=VALUE")
]
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder; runs/NAME beside the recipe by default.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from.")]


@app.callback()
def _options(context: typer.Context, debug: Debug = False) -> None:
    context.obj = {"debug": debug}


@app.command("demo")
def _demo(folder: Annotated[Path, typer.Option(help="Where to work.")] = Path("demo")) -> None:
    """Draw cells with known truth, train on them, and show what was found."""
    from holotype.demo import run_demo

    run_demo(folder)


@app.command("new")
def _new(
    data: Annotated[Path, typer.Argument(help="A folder or a table.", metavar="DATA")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The recipe to write.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Look at a folder or a table and write a recipe for it, saying why."""
    from holotype.plan import look, propose, write_recipe

    proposal = propose(look(data))
    typer.echo(write_recipe(proposal, output, force))
    for sentence in [*proposal.warnings, *proposal.questions]:
        typer.echo(f"note: {sentence}", err=True)
    typer.echo(f"Written to {output}. Read it, then: holotype run {output}", err=True)


@app.command("check")
def _check(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe in YAML.", metavar="[RECIPE]")] = None,
    changes: Changes = [],  # noqa: B006  (typer reads the default)
    recipe_only: Annotated[bool, typer.Option("--recipe-only", help="Do not look at the data.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a recipe.")] = False,
) -> None:
    """Say whether a recipe and its data are right, without training anything."""
    from holotype.recipe import json_schema, load_recipe

    if schema:
        typer.echo(json_schema())
        return
    if recipe is None:
        raise typer.BadParameter("give a recipe, or --schema")
    loaded = load_recipe(recipe, tuple(changes))
    from holotype.pipeline import check_names

    check_names(loaded)
    if recipe_only:
        typer.echo(f"{recipe} is right; its data were not looked at.")
        return
    from holotype.commands import check_data

    for line in check_data(loaded, recipe):
        typer.echo(line)


@app.command("audit")
def _audit(recipe: RecipePath, out: Out = None, changes: Changes = []) -> None:  # noqa: B006
    """Look for what is wrong with the data, and write it down."""
    from holotype.commands import audit_data

    for line in audit_data(recipe, tuple(changes), out):
        typer.echo(line)


@app.command("run")
def _run(
    recipe: RecipePath,
    out: Out = None,
    changes: Changes = [],  # noqa: B006
    engine: Annotated[str, typer.Option(help="Where jobs are worked through: local.")] = "local",
    budget: Annotated[
        str | None, typer.Option(help="Plan what is trained for a time: 90s, 10m, 2h.", metavar="TIME")
    ] = None,
) -> None:
    """Do everything a recipe says, from images to a submission; run it again to go on after a stop."""
    if engine != "local":
        raise NotBuiltYetError(f"the engine {engine!r} is not built yet", field="--engine", remedy="write `local`")
    began = time.perf_counter()  # loading the libraries is part of what a budget pays for
    from holotype.commands import run_recipe

    for line in run_recipe(recipe, tuple(changes), out, budget, began):
        typer.echo(line)


@app.command("tune")
def _tune(
    recipe: RecipePath,
    changes: Changes = [],  # noqa: B006
    trials: Annotated[int, typer.Option(help="How many there should be, with those of an earlier call.")] = 20,
    budget: Annotated[str | None, typer.Option(help="Time after which none begins: 1h.", metavar="TIME")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the input of every trial; searched without it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="The most that a trial may take.")] = None,
    on: Annotated[str, typer.Option(help="The rows that judge: inner or fold.")] = "inner",
) -> None:
    """Search for better settings on one fold, and write the recipe that was found; run it again to go on."""
    from holotype.tuning import Search, tune_recipe

    for line in tune_recipe(recipe, tuple(changes), Search(trials, budget, size, epochs, on)):
        typer.echo(line)


@app.command("predict")
def _predict(
    run: RunPath,
    images: Annotated[list[Path], typer.Argument(help="A folder, files, or a table.", metavar="IMAGES")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A CSV file; standard output without it.")
    ] = None,
) -> None:
    """Label new images by a finished run."""
    from holotype.commands import predict_images

    text = predict_images(run, images, output)
    typer.echo(text, nl=not text.endswith("\n"))


@app.command("report")
def _report(run: RunPath, show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False) -> None:
    """Say where the report of a run is, and what its score is."""
    from holotype.commands import report_lines

    for line in report_lines(run, show):
        typer.echo(line)


@app.command("why")
def _why(
    run: RunPath,
    stage: Annotated[str | None, typer.Argument(help="Only this stage, as in `fit main 0`.", metavar="[STAGE]")] = None,
    changes: Changes = [],  # noqa: B006
) -> None:
    """Say what would run again, and because of what."""
    from holotype.why import explain

    for line in explain(run, tuple(changes), stage):
        typer.echo(line)


@app.command("serve")
def _serve(
    run: RunPath,
    host: Annotated[str, typer.Option(help="Where to listen; other machines reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    limit: Annotated[
        list[str],
        typer.Option(
            help="What a request may cost: megabytes, stream (megabytes of many images), megapixels, files, seconds, "
            "queue, batch, wait (milliseconds); as in queue=100.",
            metavar="NAME=VALUE",
        ),
    ] = [],  # noqa: B006
    nearest: Annotated[bool, typer.Option(help="Name the nearest training specimens.")] = True,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Let other machines ask without a token.")
    ] = False,
    allow_host: Annotated[
        list[str], typer.Option(help="Another name of this server, as behind a proxy.", metavar="NAME")
    ] = [],  # noqa: B006
) -> None:
    """Label images over HTTP by a finished run, with a page; HOLOTYPE_TOKEN holds the token that callers show."""
    from holotype.commands import serve_images

    serve_images(run, (host, port), limit, nearest, (allow_anonymous, allow_host))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; errors a person can mend are one sentence and an exit status.

    Args:
        arguments: As in `sys.argv[1:]`, which they are by default.

    Returns:
        0 done, 1 the work failed, 2 what was handed in is wrong.
    """
    given = sys.argv[1:] if arguments is None else arguments
    words = [word for word in given if word != "--debug"] or ["--help"]
    try:
        status = app(words, prog_name="holotype", standalone_mode=False)
    except (HolotypeError, OSError) as error:
        if "--debug" in given:
            raise
        print(f"holotype: {_sentence(error)}", file=sys.stderr)
        return error.exit_status if isinstance(error, HolotypeError) else 1
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:  # noqa: BLE001  (what it does not know is raised again)
        return _usage_error(error)
    if status == INTERRUPTED:
        print("holotype: stopped; run the same command again to go on.", file=sys.stderr)
    return 1 if status else 0


def _sentence(error: Exception) -> str:
    """An error in one line; what the disk refuses beyond the store has no words of ours."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}; `--debug` shows where."
    return " ".join(str(error).splitlines())


def _usage_error(error: Exception) -> int:
    """A wrong use of the command line in one sentence; anything else is a mistake of ours and keeps its traceback."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if not hasattr(error, "format_message"):  # typer ships its own click, so that its errors have no public class
        raise error
    said = " ".join(error.format_message().split())
    print(f"holotype: {said}{'' if said.endswith(('.', '?')) else '.'} See `holotype --help`.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
