"""What editors and type checkers see of `holotype`, whose names are imported when they are first used."""

from holotype import audit as audit
from holotype import augment as augment
from holotype import data as data
from holotype import decide as decide
from holotype import ensemble as ensemble
from holotype import feed as feed
from holotype import losses as losses
from holotype import metrics as metrics
from holotype import nets as nets
from holotype import plan as plan
from holotype import predict as predict
from holotype import report as report
from holotype import retrieval as retrieval
from holotype import score as score
from holotype import split as split
from holotype import train as train
from holotype.face import run as run
from holotype.finished.opened import open_run as open_run
from holotype.recipe import load_recipe as load_recipe

__all__ = ["load_recipe", "open_run", "run"]
