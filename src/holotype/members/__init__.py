"""Members: their networks by fold, what joins their training, who answers for a domain, and what they say."""

from holotype.members.discriminator import telling_features
from holotype.members.looking import Landscape, Observer, heat_maps, map_images
from holotype.members.neighbours import vote
from holotype.members.pixels import plan_pixels, resolve_member
from holotype.members.predictions import MemberPredictions
from holotype.members.train import histories, served_classes, train_and_predict
from holotype.members.workshop import Workshop, apart_rows, test_rows

__all__ = [
    "Landscape",
    "MemberPredictions",
    "Observer",
    "Workshop",
    "apart_rows",
    "heat_maps",
    "histories",
    "map_images",
    "plan_pixels",
    "resolve_member",
    "served_classes",
    "telling_features",
    "test_rows",
    "train_and_predict",
    "vote",
]
