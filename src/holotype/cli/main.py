"""Command line. Heavy libraries are imported inside the commands, so that `--help` is fast."""

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

app = typer.Typer(
    name="holotype",
    help="Train image classifiers on labeled scientific images, with scores that can be trusted.",
    epilog="--quiet, --json and --debug can be given anywhere on the command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)

ACTIONS = ("list", "size", "verify", "prune")
WEIGHTS_ACTIONS = ("list", "get", "pack")

RecipePath = Annotated[
    Path, typer.Argument(help="Recipe (YAML file).", metavar="RECIPE", autocompletion=complete_recipe)
]
RunPath = Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN", autocompletion=complete_run)]
Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Change a recipe key, for example models.0.backbone=resnet18.",
        metavar="KEY=VALUE",
        autocompletion=complete_setting,
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Run folder; default: runs/NAME beside the recipe.")]


def _print_version(context: typer.Context, requested: bool) -> None:
    if requested:
        version = version_of("holotype") or "(not installed)"
        print_result(CommandResult([f"holotype {version}"], {"version": version}), context.obj or OutputOptions())
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result, no progress or notes.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result or the error as one JSON document.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    context.obj = context.obj or OutputOptions(quiet, as_json, debug)


@app.command("demo")
def _demo(folder: Annotated[Path, typer.Option(help="Working folder.")] = Path("demo")) -> Work:
    """Simulate cells with known truth, train on them, and compare the score with the truth."""
    from holotype.cli.demo import run_demo

    return partial(run_demo, folder)


@app.command("init")
def _init(
    data: Annotated[Path, typer.Argument(help="Folder of images, or a table.", metavar="DATA")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Recipe to write, relative to this folder.")] = Path(
        "recipe.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    changes: Changes = [],  # noqa: B006
) -> Work:
    """Inspect a folder of images or a table, and write a recipe with reasons for its settings."""
    from holotype.cli.check import propose_recipe

    return partial(propose_recipe, data, output, force, changes=tuple(changes))


@app.command("check")
def _check(
    recipe: Annotated[
        Path | None, typer.Argument(help="Recipe (YAML file).", metavar="[RECIPE]", autocompletion=complete_recipe)
    ] = None,
    changes: Changes = [],  # noqa: B006  (typer reads the default)
    recipe_only: Annotated[bool, typer.Option("--recipe-only", help="Check the recipe without its data.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a recipe.")] = False,
) -> CommandResult | Work:
    """Check a recipe and its data; nothing is trained."""
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
    """Audit the data for duplicates, leaks and bad images; writes a page to the folder `audit` of the run."""
    from holotype.cli.check import audit_data

    return partial(audit_data, recipe, tuple(changes), out)


@app.command("run")
def _run(
    recipe: RecipePath,
    out: OutOption = None,
    changes: Changes = [],  # noqa: B006
    engine: Annotated[str, typer.Option(help="Where networks are trained: local (this machine).")] = "local",
    budget: Annotated[
        str | None, typer.Option(help="Time limit for the command: 90s, 10m, 2h.", metavar="TIME")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the steps that would run and which input changed; nothing is trained."),
    ] = False,
) -> CommandResult | Work:
    """Run a recipe: train, score, predict the test set, write the report. An interrupted run resumes."""
    if engine != "local":
        raise UnsupportedError(f"unknown engine {engine!r}", field="--engine", remedy="use `local`")
    if dry_run:
        from holotype.cli.dry_run import explain_reruns

        return explain_reruns(recipe, tuple(changes), out, budget)
    began = time.perf_counter()  # loading the libraries is part of what a budget pays for
    from holotype.cli.commands import run_recipe

    return partial(run_recipe, recipe, tuple(changes), out, budget, began)


@app.command("tune")
def _tune(
    recipe: RecipePath,
    changes: Changes = [],  # noqa: B006
    trials: Annotated[int, typer.Option(help="Total number of trials, including those of earlier calls.")] = 20,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Time limit, for example 1h; no trial is started that cannot finish in time.", metavar="TIME"
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Input size of every trial in pixels; tuned by default.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Maximum number of epochs of a trial.")] = None,
    rows: Annotated[
        str,
        typer.Option(help="Rows used for selection: inner (part of the training folds) or scored-fold (optimistic)."),
    ] = "inner",
) -> Work:
    """Tune hyperparameters in short trainings and write the best as a recipe; run it again to continue."""
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
        typer.Option("-o", "--output", help="A .csv, .tsv, .xlsx or .parquet file; default: standard output."),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            help="Write a row with the reason for an image that cannot be predicted, instead of stopping.",
        ),
    ] = False,
    measurements: Annotated[
        list[str],
        typer.Option(
            help="Measurements of the new samples, for models that read a table; MODEL=TABLE if there are several.",
            metavar="TABLE",
        ),
    ] = [],  # noqa: B006
) -> Work:
    """Predict labels for new images with a finished run."""
    from holotype.cli.commands import predict_images

    return partial(predict_images, run, images, output, skip_unreadable=skip_unreadable, measurements=measurements)


@app.command("embed")
def _embed(
    source: Annotated[
        Path, typer.Argument(help="Run folder, or recipe.", metavar="RUN|RECIPE", autocompletion=complete_run)
    ],
    images: Annotated[
        list[Path],
        typer.Argument(help="Folders, files, or tables with the columns of the training table.", metavar="IMAGES"),
    ],
    output: Annotated[Path, typer.Option("-o", "--out", help="Table to write: .parquet, .csv, .tsv or .xlsx.")] = Path(
        "features.parquet"
    ),
    model: Annotated[str | None, typer.Option(help="Model whose network embeds; default: the first.")] = None,
    fold: Annotated[
        int | None, typer.Option(help="Fold of the network; default: the refitted network, or the first fold.")
    ] = None,
) -> Work:
    """Write the features of images: by a network of a run, or by the pretrained backbone of a recipe."""
    from holotype.cli.commands import embed_images

    return partial(embed_images, source, images, output, model=model, fold=fold)


@app.command("report")
def _report(
    run: RunPath, show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False
) -> CommandResult:
    """Show the scores of a run and the path of its report."""
    from holotype.cli.commands import report_run

    return report_run(run, show)


@app.command("compare")
def _compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders; the others are compared with the first.",
            metavar="RUN RUN...",
            autocompletion=complete_run,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Page to write.")] = Path("compare.html"),
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> CommandResult:
    """Compare finished runs on the same samples, and write a page with the paired differences."""
    from holotype.cli.commands import compare_runs

    if len(runs) < 2:
        raise typer.BadParameter("give at least two runs")
    return compare_runs(runs, output, show)


@app.command("score")
def _score(
    tables: Annotated[
        list[Path],
        typer.Argument(help="Tables of predictions (CSV, TSV, Parquet, Excel), one per model.", metavar="TABLE..."),
    ],
    *,
    label: Annotated[str | None, typer.Option(help="Column of the true label.", metavar="COLUMN")] = None,
    predicted: Annotated[
        str | None, typer.Option(help="Column of the predicted label; default: the likeliest class.", metavar="COLUMN")
    ] = None,
    probabilities: Annotated[
        list[str], typer.Option(help="Columns of the classes' probabilities, for example 'prob_*'.", metavar="COLUMNS")
    ] = [],  # noqa: B006
    group: Annotated[
        list[str],
        typer.Option(
            help="Column that makes samples dependent (plate, patient, cluster of copies); none: independent samples.",
            metavar="COLUMN",
        ),
    ] = [],  # noqa: B006
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column that identifies a sample.", metavar="COLUMN")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Column with the name of the model, if a table has several.", metavar="COLUMN")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric to show first and to compare.")] = "macro_f1",
    separator: Annotated[
        str | None, typer.Option(help="Between several labels of a sample, for example '|'.", metavar="TEXT")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for scores.json, in the form of a run.")] = None,
) -> Work:
    """Score predictions of any tool with intervals; several models are compared with the first."""
    from holotype.cli.score import score_predictions

    return partial(
        score_predictions,
        tables,
        out,
        label=label,
        predicted=predicted,
        probabilities=probabilities,
        groups=group or None,
        id_column=id_column,
        by=by,
        metric=metric,
        separator=separator,
    )


@app.command("export")
def _export(
    run: RunPath,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write; default: NAME.export beside the run.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Export only this model.")] = None,
    form: Annotated[str, typer.Option("--format", help="onnx, or torch (a torch.export file).")] = "onnx",
    views: Annotated[
        str | None, typer.Option(help="Test-time augmentation instead of the recipe's: none, flips or d4.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Domain to export, if domains have their own networks or weights.")
    ] = None,
) -> Work:
    """Export the networks of a run as one ONNX file that needs neither Holotype nor torch."""
    from holotype.cli.commands import export_run
    from holotype.runs.export.export_run import ExportOptions

    return partial(export_run, run, output, ExportOptions(model, form, views, domain))


@app.command("review")
def _review(
    context: typer.Context,
    run: RunPath,
    port: Annotated[
        int, typer.Option(help="Port of the page, which only this machine can open; 0 takes a free one.")
    ] = 8724,
    decisions: Annotated[
        Path | None, typer.Option(help="Decisions file; default: review.csv beside the recipe.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Review probable label errors, duplicates and uncertain samples; the next run applies the decisions."""
    from holotype.cli.commands import review_run

    review_run(run, port, decisions, show, context.obj)


@app.command("cache")
def _cache(
    action: Annotated[str, typer.Argument(help="list, size, verify or prune.", metavar="ACTION")],
    folder: Annotated[Path, typer.Argument(help="Recipe, run folder, or cache folder.", metavar="[FOLDER]")] = Path(),
    days: Annotated[
        float | None, typer.Option(min=0, help="For prune: also remove entries unused for this many days.")
    ] = None,
) -> CommandResult:
    """List, measure, verify or prune the cache of runs."""
    from holotype.cli.commands import manage_cache

    if action not in ACTIONS:
        raise InputError("unknown action", field="cache", value=action, allowed=ACTIONS)
    return manage_cache(action, folder, days)


@app.command("weights")
def _weights(
    action: Annotated[str, typer.Argument(help="list, get or pack.", metavar="ACTION")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="For get: names of timm, hf-hub:ID, or .zip files; for pack: the first two, or local-dir:FOLDER; for "
            "list: model folders, runs, or folders of them.",
            metavar="[NAME]",
        ),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="For list: only weights of this network.", metavar="NAME")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="For get: folder for the models, instead of the Hugging Face cache.")
    ] = None,
    file: Annotated[
        str | None, typer.Option(help="For get: weights file, where a repository has several.", metavar="FILE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="For pack: .zip file to write.")] = None,
) -> CommandResult | Work:
    """List pretrained weights, download them, or pack them for a machine without a network."""
    from holotype.cli.weights import get_weights, list_weights, pack_archive

    if action not in WEIGHTS_ACTIONS:
        raise InputError("unknown action", field="weights", value=action, allowed=WEIGHTS_ACTIONS)
    if action == "list":
        return list_weights([Path(name) for name in names or []], backbone)
    if action == "get":
        return partial(get_weights, names or [], to, file)
    return partial(pack_archive, names or [], out)


@app.command("serve")
def _serve(
    context: typer.Context,
    run: RunPath,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for access from other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    limit: Annotated[
        list[str],
        typer.Option(
            help="Request limit: megabytes, stream (megabytes of a stream), megapixels, files, seconds, queue, "
            "batch, wait (milliseconds), decoding (seconds per image), memory (megabytes per image), "
            "uploads (megabytes in total), headers (seconds), connections, address (connections per "
            "address); for example queue=100.",
            metavar="NAME=VALUE",
        ),
    ] = [],  # noqa: B006
    nearest: Annotated[bool, typer.Option(help="Return the most similar training images.")] = True,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Allow other machines without a token.")
    ] = False,
    allow_host: Annotated[
        list[str], typer.Option(help="Additional host name of this server, for example behind a proxy.", metavar="NAME")
    ] = [],  # noqa: B006
) -> None:
    """Serve predictions of a run over HTTP, with a web page. Set HOLOTYPE_TOKEN to require a bearer token."""
    set_thread_wait_policy(serving=True)  # before the imports below load torch
    from holotype.cli.commands import serve_run

    serve_run(run, limit, nearest, context.obj, host=host, port=port, anonymous=allow_anonymous, hosts=allow_host)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. `arguments`: default: `sys.argv[1:]`. Returns 0 success, 1 failure, 2 invalid input."""
    set_thread_wait_policy()  # before any command loads torch
    do_without_temporary_folder()
    return run_command(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
