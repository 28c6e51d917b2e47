from holotype.classifiers.custom import CLASSIFIERS as CLASSIFIERS
from holotype.classifiers.files import load_classifier as load_classifier
from holotype.classifiers.fit import fit_classifier as fit_classifier
from holotype.classifiers.fit import importances as importances
from holotype.classifiers.fitted import FittedClassifier as FittedClassifier
from holotype.classifiers.knn import NeighborClassifier as NeighborClassifier
from holotype.classifiers.linear import LinearClassifier as LinearClassifier
from holotype.classifiers.trees import TreeClassifier as TreeClassifier
