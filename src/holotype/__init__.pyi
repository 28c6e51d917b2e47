"""Type stubs of `holotype`, whose names are imported when they are first used."""

from holotype import audit as audit
from holotype import augment as augment
from holotype import classifiers as classifiers
from holotype import data as data
from holotype import evaluation as evaluation
from holotype import inspect as inspect
from holotype import loading as loading
from holotype import losses as losses
from holotype import neighbors as neighbors
from holotype import networks as networks
from holotype import planning as planning
from holotype import postprocessing as postprocessing
from holotype import prediction as prediction
from holotype import report as report
from holotype import simulate as simulate
from holotype import split as split
from holotype import training as training
from holotype.api import check as check
from holotype.api import compare as compare
from holotype.api import init as init
from holotype.api import run as run
from holotype.api import score as score
from holotype.recipe.load import load_recipe as load_recipe
from holotype.runs.embed import embed as embed
from holotype.runs.fitted_run import open_run as open_run

__all__ = ["check", "compare", "embed", "init", "load_recipe", "open_run", "run", "score"]
