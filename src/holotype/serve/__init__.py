"""Serving: a REST API and a page around whatever answers for images; needs the extra `serve`."""

from holotype.serve.answerer import About, Answer, Answerer, MakeReader, Near, Question, Reader
from holotype.serve.app import make_app
from holotype.serve.guard import Rules
from holotype.serve.limits import Limits, limits_from
from holotype.serve.running import Place, rules_for, serve
from holotype.serve.service import Service

__all__ = [
    "About",
    "Answer",
    "Answerer",
    "Limits",
    "MakeReader",
    "Near",
    "Place",
    "Question",
    "Reader",
    "Rules",
    "Service",
    "limits_from",
    "make_app",
    "rules_for",
    "serve",
]
