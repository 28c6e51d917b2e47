"""The command line. Heavy libraries are imported inside the commands, so that `--help` answers at once.

A command returns its work, or at once an `Answer`; `holotype.entrance` delivers that in the manner that was asked for.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from holotype.completion import complete_recipe, complete_run, complete_setting
from holotype.entrance import enter
from holotype.errors import InputError, NotBuiltYetError
from holotype.runtime import do_without_temporary_folder, share_cores, version_of
from holotype.terminal import Answer, Manner, Work, deliver

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
        "--set", help="Change the recipe, as in members.0.backbone=resnet18.", metavar="KEY=VALUE",
        autocompletion=complete_setting,
    ),
]  # fmt: skip
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder; runs/NAME beside the recipe by default.")]


def _say_version(context: typer.Context, asked: bool) -> None:
    if asked:
        own = version_of("holotype") or "(not installed)"
        deliver(Answer([f"holotype {own}"], {"version": own}), context.obj or Manner())
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Neither progress nor notes, only the answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer, or the error, as one JSON document.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    context.obj = context.obj or Manner(quiet, as_json, debug)


@app.command("demo")
def _demo(folder: Annotated[Path, typer.Option(help="Where to work.")] = Path("demo")) -> Work:
    """Draw cells with known truth, train on them, and show what was found."""
    from holotype.demo import run_demo

    return partial(run_demo, folder)


@app.command("new")
def _new(
    data: Annotated[Path, typer.Argument(help="A folder of images, or a table.", metavar="DATA")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The recipe to write, in this folder.")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> Work:
    """Look at images and their table, and write a recipe that says why it is as it is."""
    from holotype.inspection import propose_recipe

    return partial(propose_recipe, data, output, force)


@app.command("check")
def _check(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe in YAML.", metavar="[RECIPE]", autocompletion=complete_recipe)
    ] = None,
    changes: Changes = [],  # noqa: B006  (typer reads the default)
    recipe_only: Annotated[bool, typer.Option("--recipe-only", help="Do not look at the data.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a recipe.")] = False,
) -> Answer | Work:
    """Say whether a recipe and its data are valid; nothing is trained."""
    from holotype.recipe import json_schema, load_recipe

    if schema:
        return Answer([json_schema()], json.loads(json_schema()))
    if recipe is None:
        raise typer.BadParameter("give a recipe, or --schema")
    loaded = load_recipe(recipe, tuple(changes))
    from holotype.pipeline import check_names

    check_names(loaded)
    if recipe_only:
        return Answer([f"{recipe} is right; its data were not looked at."], {"recipe": recipe})
    from holotype.inspection import check_data

    return partial(check_data, loaded, recipe)


@app.command("audit")
def _audit(recipe: RecipePath, out: Out = None, changes: Changes = []) -> Work:  # noqa: B006
    """Look for duplicates, leaks and bad images; make a page of what was found, in the folder `audit` of the run."""
    from holotype.inspection import audit_data

    return partial(audit_data, recipe, tuple(changes), out)


@app.command("run")
def _run(
    recipe: RecipePath,
    out: Out = None,
    changes: Changes = [],  # noqa: B006
    engine: Annotated[str, typer.Option(help="What trains the networks: local, this machine.")] = "local",
    budget: Annotated[
        str | None, typer.Option(help="Fit the whole command into this time: 90s, 10m, 2h.", metavar="TIME")
    ] = None,
) -> Work:
    """Do all that a recipe says: train, score, label the test rows, report; run it again to go on after a stop."""
    if engine != "local":
        raise NotBuiltYetError(f"the engine {engine!r} is not built yet", field="--engine", remedy="write `local`")
    began = time.perf_counter()  # loading the libraries is part of what a budget pays for
    from holotype.commands import run_recipe

    return partial(run_recipe, recipe, tuple(changes), out, budget, began)


@app.command("tune")
def _tune(
    recipe: RecipePath,
    changes: Changes = [],  # noqa: B006
    trials: Annotated[int, typer.Option(help="Trials in all, those of earlier calls included.")] = 20,
    budget: Annotated[str | None, typer.Option(help="Begin no trial that would end later: 1h.", metavar="TIME")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the input of every trial; searched without it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial at most.")] = None,
    on: Annotated[
        str, typer.Option(help="What judges: inner (rows of the training folds) or fold (less noisy, too high).")
    ] = "inner",
) -> Work:
    """Try other settings in short trainings and write the best as a recipe; run it again to go on."""
    from holotype.commands import search_settings
    from holotype.tuning import Search

    return partial(search_settings, recipe, tuple(changes), Search(trials, budget, size, epochs, on))


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
            "--skip-unreadable",
            help="Give images that cannot be predicted a row with the reason, instead of stopping.",
        ),
    ] = False,
) -> Work:
    """Label new images by a finished run."""
    from holotype.commands import predict_images

    return partial(predict_images, run, images, output, skip_unreadable=skip_unreadable)


@app.command("report")
def _report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="The folder of a run, or of several to compare.", metavar="RUN...", autocompletion=complete_run
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Of several runs: where their page goes; compare.html without it."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> Answer:
    """Say the score of a run and where its report is; of several, make a page that compares them with the first."""
    from holotype.commands import compare_runs, report_run

    if len(runs) == 1 and output is not None:
        raise typer.BadParameter("--output is for comparing; give two runs, or leave it out")
    if len(runs) == 1:
        return report_run(runs[0], show)
    return compare_runs(runs, output or Path("compare.html"), show)


@app.command("export")
def _export(
    run: RunPath,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder to write; NAME.export beside the run without it.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Export this member by itself.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="onnx, or torch (a torch.export file for programs with torch).")
    ] = "onnx",
    views: Annotated[str | None, typer.Option(help="Views instead of the recipe's: none, flips or d4.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="The domain it is for, where domains have networks or weights of their own.")
    ] = None,
) -> Work:
    """Write the networks of a run as one ONNX file that needs neither this program nor torch."""
    from holotype.commands import export_run
    from holotype.finished.exported import Wish

    return partial(export_run, run, output, Wish(member, form, views, domain))


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
    from holotype.commands import review_run

    review_run(run, port, decisions, show, context.obj)


@app.command("why")
def _why(
    run: RunPath,
    stage: Annotated[str | None, typer.Argument(help="Only this stage, as in `fit main 0`.", metavar="[STAGE]")] = None,
    changes: Changes = [],  # noqa: B006
) -> Answer:
    """Say which stages would run again after a change, and because of what."""
    from holotype.commands import explain_run

    return explain_run(run, tuple(changes), stage)


@app.command("cache")
def _cache(
    action: Annotated[str, typer.Argument(help="list, size, verify or prune.", metavar="ACTION")],
    folder: Annotated[Path, typer.Argument(help="A recipe, a run, or the store itself.", metavar="[PLACE]")] = Path(),
    days: Annotated[
        float | None, typer.Option(min=0, help="prune: what was not used for so many days goes too.")
    ] = None,
) -> Answer:
    """List, measure, verify or prune what runs keep in the store."""
    from holotype.commands import look_after_cache

    if action not in ACTIONS:
        raise InputError("there is no such action", field="cache", value=action, allowed=ACTIONS)
    return look_after_cache(action, folder, days)


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
    share_cores(serving=True)  # before the imports below load torch
    from holotype.commands import serve_images

    serve_images(run, (host, port), limit, nearest, (allow_anonymous, allow_host), context.obj)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: As in `sys.argv[1:]`, which they are by default.

    Returns:
        0 done, 1 the work failed, 2 what was handed in is wrong.
    """
    share_cores()  # before any command loads torch
    do_without_temporary_folder()
    return enter(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
