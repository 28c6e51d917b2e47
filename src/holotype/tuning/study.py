"""Trials of a search, kept in a journal that an interrupted search goes on from; Optuna draws and prunes them.

Each trial is drawn by a sampler of its own, keyed by the trial's number, so that a search which was interrupted draws
the same trials as one that was left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.core.errors import InputError
from holotype.core.seeds import derive_seed
from holotype.tuning.space import Dimension, NumericRange

__all__ = [
    "TrialRecord",
    "begin_trial",
    "end_trial",
    "importances",
    "list_trials",
    "open_study",
    "report_intermediate",
    "suggest",
]

STARTUP_TRIALS = 6  # trials before the sampler has something to learn from
UNPRUNED_TRIALS = 3  # trials before there is a median worth the name
NAME = "tune"


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Args:
        number: From 0.
        drawn: By dimension a number, or the name of an option.
        state: `finished`, `pruned`, `failed` or `unfinished`.
        score: The last that is known, the larger the better; none where nothing is.
        epochs: How many were trained.
        rungs: Scores by the part of the training that was done.
    """

    number: int
    drawn: dict[str, Any]
    state: str
    score: float | None
    epochs: int = 0
    rungs: dict[int, float] = field(default_factory=dict)


def open_study(journal: Path) -> Any:
    """The trials so far, or none yet.

    Args:
        journal: A file of lines of JSON.

    Raises:
        InputError: Optuna is not installed.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise InputError("a search needs Optuna", remedy="pip install 'holotype[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal.parent.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(
        study_name=NAME, storage=storage, direction="maximize", pruner=pruner, load_if_exists=True
    )


def begin_trial(study: Any, seed: int) -> Any:
    """The trial that was interrupted, or a new one.

    Args:
        study: From `open_study`.
        seed: The recipe's seed.
    """
    import optuna

    trials = study.get_trials(deepcopy=False)
    number = len(trials)
    for trial in trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            number = trial.number
    keyed = derive_seed(seed, "tune", number) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=keyed, n_startup_trials=STARTUP_TRIALS)
    return study.ask() if number == len(trials) else optuna.trial.Trial(study, trials[number]._trial_id)


def suggest(trial: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    """What a trial tries; of one that was interrupted what it has drawn before.

    Args:
        trial: From `begin_trial`.
        space: From `search_space`.
    """
    drawn: dict[str, Any] = {}
    for dimension in space:
        name = dimension.name
        if not isinstance(dimension, NumericRange):
            drawn[name] = trial.suggest_categorical(name, list(dimension.options))
        elif dimension.is_integer:
            low, high = int(dimension.low), int(dimension.high)
            drawn[name] = trial.suggest_int(name, low, high, log=dimension.log_scale)
        else:
            drawn[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log_scale)
    return drawn


def report_intermediate(study: Any, trial: Any, rung: int, score: float, epochs: int) -> bool:
    """Note a score on the way.

    Args:
        study: From `open_study`.
        trial: From `begin_trial`.
        rung: Which part of the training is done.
        score: The larger the better.
        epochs: Epochs that are done.

    Returns:
        Whether the trial is below the median of the others at the same part, and not worth more time.
    """
    if rung not in study.get_trials(deepcopy=False)[trial.number].intermediate_values:
        trial.report(score, rung)
        trial.set_user_attr("epochs", epochs)
    return bool(trial.should_prune())


def end_trial(study: Any, trial: Any, score: float | None, state: str, epochs: int | None = None) -> None:
    """Close a trial.

    Args:
        study: From `open_study`.
        trial: From `begin_trial`.
        score: Of a finished one.
        state: `finished`, `pruned` or `failed`.
        epochs: Epochs that were trained, where they are known.
    """
    import optuna

    if epochs is not None:
        trial.set_user_attr("epochs", epochs)
    states = optuna.trial.TrialState
    word = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[state]
    study.tell(trial, score if state == "finished" else None, word)


def list_trials(study: Any) -> list[TrialRecord]:
    """The trials in the order of their numbers.

    Args:
        study: From `open_study`.
    """
    words = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}
    records = []
    for trial in study.get_trials(deepcopy=False):
        rungs = dict(sorted(trial.intermediate_values.items()))
        finished = trial.state.name == "COMPLETE"
        score = trial.value if finished else next(reversed(rungs.values()), None)
        state = words.get(trial.state.name, "unfinished")
        epochs = int(trial.user_attrs.get("epochs", 0))
        records.append(TrialRecord(trial.number, dict(trial.params), state, score, epochs, rungs))
    return records


def importances(study: Any, seed: int) -> dict[str, float]:
    """How much of the scores' variation each dimension explains (Hutter et al. 2014, functional ANOVA), largest first.

    Args:
        study: From `open_study`.
        seed: The recipe's seed.

    Returns:
        Shares that sum to 1; nothing where too few trials were finished to say.
    """
    import optuna

    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=derive_seed(seed, "importance") % 2**32)
    measure: Callable[..., dict[str, float]] = optuna.importance.get_param_importances
    return {name: float(share) for name, share in measure(study, evaluator=evaluator).items()}
