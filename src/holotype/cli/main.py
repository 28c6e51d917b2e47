"""Command line. Heavy libraries are imported inside the commands, so that `--help` is fast.

A command returns its work or a `CommandResult`; `holotype.cli.execute` prints it in the requested format.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from holotype.cli.completion import complete_recipe, complete_run, complete_setting
from holotype.cli.execute import run_command
from holotype.cli.output import CommandResult, OutputOptions, Work, print_result
from holotype.core.errors import InputError, UnsupportedError
from holotype.core.runtime import do_without_temporary_folder, set_thread_wait_policy, version_of

__all__ = ["app", "main"]

app = typer.Typer(
    name="holotype",
    help="From labelled scientific images to a classifier that can be trusted.",
    epilog="--quiet, --json and --debug may stand anywhere on the line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)

ACTIONS = ("list", "size", "verify", "prune")

RecipePath = Annotated[Path, typer.Argument(help="A recipe in YAML.", metavar="RECIPE", autocompletion=complete_recipe)]
RunPath = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", autocompletion=complete_run)]
Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Change the recipe, as in models.0.backbone=resnet18.",
        metavar="KEY=VALUE",
        autocompletion=complete_setting,
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run's folder; runs/NAME beside the recipe by default.")
]


def _print_version(context: typer.Context, requested: bool) -> None:
    if requested:
        version = version_of("holotype") or "(not installed)"
        print_result(CommandResult([f"holotype {version}"], {"version": version}), context.obj or OutputOptions())
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Neither progress nor notes, only the answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer, or the error, as one JSON document.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    context.obj = context.obj or OutputOptions(quiet, as_json, debug)


@app.command("demo")
def _demo(folder: Annotated[Path, typer.Option(help="Where to work.")] = Path("demo")) -> Work:
    """Draw cells with known truth, train on them, and show what was found."""
    from holotype.cli.demo import run_demo

    return partial(run_demo, folder)


@app.command("init")
def _init(
    data: Annotated[Path, typer.Argument(help="A folder of images, or a table.", metavar="DATA")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The recipe to write, in this folder.")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> Work:
    """Inspect a folder of images or a table, and write a recipe with the reasons for its settings."""
    from holotype.cli.check import propose_recipe

    return partial(propose_recipe, data, output, force)


@app.command("check")
def _check(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe in YAML.", metavar="[RECIPE]", autocompletion=complete_recipe)
    ] = None,
    changes: Changes = [],  # noqa: B006  (typer reads the default)
    recipe_only: Annotated[bool, typer.Option("--recipe-only", help="Do not look at the data.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a recipe.")] = False,
) -> CommandResult | Work:
    """Say whether a recipe and its data are valid; nothing is trained."""
    from holotype.recipe.load import json_schema, load_recipe

    if schema:
        return CommandResult([json_schema()], json.loads(json_schema()))
    if recipe is None:
        raise typer.BadParameter("give a recipe, or --schema")
    loaded = load_recipe(recipe, tuple(changes))
    from holotype.pipeline.validate import validate_names

    validate_names(loaded)
    if recipe_only:
        return CommandResult([f"{recipe} is valid (data not checked)."], {"recipe": recipe})
    from holotype.cli.check import check_data

    return partial(check_data, loaded, recipe)


@app.command("audit")
def _audit(recipe: RecipePath, out: OutOption = None, changes: Changes = []) -> Work:  # noqa: B006
    """Look for duplicates, leaks and bad images; make a page of what was found, in the folder `audit` of the run."""
    from holotype.cli.check import audit_data

    return partial(audit_data, recipe, tuple(changes), out)


@app.command("run")
def _run(
    recipe: RecipePath,
    out: OutOption = None,
    changes: Changes = [],  # noqa: B006
    engine: Annotated[str, typer.Option(help="What trains the networks: local, this machine.")] = "local",
    budget: Annotated[
        str | None, typer.Option(help="Fit the whole command into this time: 90s, 10m, 2h.", metavar="TIME")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: list the steps that would run, and which input changed.")
    ] = False,
) -> CommandResult | Work:
    """Run a recipe: train, score, predict the test rows, write the report. A stopped run resumes where it stood."""
    if engine != "local":
        raise UnsupportedError(f"the engine {engine!r} is not built yet", field="--engine", remedy="write `local`")
    if dry_run:
        from holotype.cli.commands import explain_reruns

        return explain_reruns(recipe, tuple(changes), out, budget)
    began = time.perf_counter()  # loading the libraries is part of what a budget pays for
    from holotype.cli.commands import run_recipe

    return partial(run_recipe, recipe, tuple(changes), out, budget, began)


@app.command("tune")
def _tune(
    recipe: RecipePath,
    changes: Changes = [],  # noqa: B006
    trials: Annotated[int, typer.Option(help="Trials in all, those of earlier calls included.")] = 20,
    budget: Annotated[str | None, typer.Option(help="Begin no trial that would end later: 1h.", metavar="TIME")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the input of every trial; searched without it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial at most.")] = None,
    rows: Annotated[
        str,
        typer.Option(
            help="Rows used for selection: inner (of the training folds) or scored-fold (less noisy, too high)."
        ),
    ] = "inner",
) -> Work:
    """Try other settings in short trainings and write the best as a recipe; run it again to go on."""
    from holotype.cli.commands import tune_recipe
    from holotype.tuning.tune import TuneOptions

    return partial(tune_recipe, recipe, tuple(changes), TuneOptions(trials, budget, size, epochs, rows))


@app.command("predict")
def _predict(
    run: RunPath,
    images: Annotated[
        list[Path],
        typer.Argument(help="Folders, files, or tables with the columns of the training table.", metavar="IMAGES"),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .csv, .tsv, .xlsx or .parquet file; standard output without it."),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Give images that cannot be predicted a row with the reason, instead of stopping."
        ),
    ] = False,
) -> Work:
    """Predict labels for new images with a finished run."""
    from holotype.cli.commands import predict_images

    return partial(predict_images, run, images, output, skip_unreadable=skip_unreadable)


@app.command("report")
def _report(
    run: RunPath, show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False
) -> CommandResult:
    """Show the scores of a run and where its report is."""
    from holotype.cli.commands import report_run

    return report_run(run, show)


@app.command("compare")
def _compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs; the others are compared with the first.",
            metavar="RUN RUN...",
            autocompletion=complete_run,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")] = Path("compare.html"),
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> CommandResult:
    """Compare finished runs on the same samples, and write a page with the paired differences."""
    from holotype.cli.commands import compare_runs

    if len(runs) < 2:
        raise typer.BadParameter("give at least two runs")
    return compare_runs(runs, output, show)


@app.command("export")
def _export(
    run: RunPath,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder to write; NAME.export beside the run without it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Export this model by itself.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="onnx, or torch (a torch.export file for programs with torch).")
    ] = "onnx",
    views: Annotated[str | None, typer.Option(help="Views instead of the recipe's: none, flips or d4.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="The domain it is for, where domains have networks or weights of their own.")
    ] = None,
) -> Work:
    """Write the networks of a run as one ONNX file that needs neither this program nor torch."""
    from holotype.cli.commands import export_run
    from holotype.runs.export.export_run import ExportOptions

    return partial(export_run, run, output, ExportOptions(model, form, views, domain))


@app.command("review")
def _review(
    context: typer.Context,
    run: RunPath,
    port: Annotated[int, typer.Option(help="The page's port, on this machine alone; 0 takes a free one.")] = 8724,
    decisions: Annotated[
        Path | None, typer.Option(help="The file of decisions; review.csv beside the recipe by default.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Look at likely wrong labels, duplicates and uncertain samples, and decide; the next run follows the decisions."""
    from holotype.cli.commands import review_run

    review_run(run, port, decisions, show, context.obj)


@app.command("cache")
def _cache(
    action: Annotated[str, typer.Argument(help="list, size, verify or prune.", metavar="ACTION")],
    folder: Annotated[Path, typer.Argument(help="A recipe, a run, or the store itself.", metavar="[PLACE]")] = Path(),
    days: Annotated[
        float | None, typer.Option(min=0, help="prune: what was not used for so many days goes too.")
    ] = None,
) -> CommandResult:
    """List, measure, verify or prune what runs keep in the store."""
    from holotype.cli.commands import manage_cache

    if action not in ACTIONS:
        raise InputError("there is no such action", field="cache", value=action, allowed=ACTIONS)
    return manage_cache(action, folder, days)


@app.command("serve")
def _serve(
    context: typer.Context,
    run: RunPath,
    host: Annotated[str, typer.Option(help="Where to listen; other machines reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    limit: Annotated[
        list[str],
        typer.Option(
            help="What a request may cost: megabytes, stream (megabytes of many images), megapixels, files, seconds, "
            "queue, batch, wait (milliseconds), decoding (seconds an image), memory (megabytes an image), uploads "
            "(megabytes of all), headers (seconds), connections, address (connections of one); as in queue=100.",
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
    set_thread_wait_policy(serving=True)  # before the imports below load torch
    from holotype.cli.commands import serve_run

    serve_run(run, (host, port), limit, nearest, (allow_anonymous, allow_host), context.obj)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Default: `sys.argv[1:]`.

    Returns:
        0 success, 1 failure, 2 invalid input.
    """
    set_thread_wait_policy()  # before any command loads torch
    do_without_temporary_folder()
    return run_command(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
