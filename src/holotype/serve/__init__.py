"""Prediction server: a REST API and a web page around a `Predictor`; needs the extra `serve`."""

from holotype.serve.access import AccessPolicy
from holotype.serve.app import make_app
from holotype.serve.limits import Limits, limits_from
from holotype.serve.predictor import DecodedImage, ImagePrediction, MakeReader, Neighbor, Predictor, Reader, RunInfo
from holotype.serve.server import BindAddress, access_policy, serve
from holotype.serve.service import Service

__all__ = [
    "AccessPolicy",
    "BindAddress",
    "DecodedImage",
    "ImagePrediction",
    "Limits",
    "MakeReader",
    "Neighbor",
    "Predictor",
    "Reader",
    "RunInfo",
    "Service",
    "access_policy",
    "limits_from",
    "make_app",
    "serve",
]
