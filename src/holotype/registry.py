"""A registry is a decorator and a dict: the function's name is the public name, with `-` as good as `_`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from holotype.errors import RecipeError

__all__ = ["Registry"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Mapping[str, Callable[..., Any]]):
    """Named functions of one kind.

    Args:
        kind: What the functions are ("loss", "schedule"), for messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}

    def register(self, function: Function) -> Function:
        """Add a function under its own name; a second one of that name is a mistake of ours.

        Args:
            function: What to register.
        """
        name = function.__name__
        if name in self._functions:
            owner = self._functions[name].__module__
            raise ValueError(f"two {self.kind}s are named {name!r}: in {owner} and in {function.__module__}")
        self._functions[name] = function
        return function

    def __getitem__(self, name: str) -> Callable[..., Any]:
        function = self._functions.get(name.replace("-", "_"))
        if function is None:
            raise RecipeError(f"no {self.kind} is named {name!r}", value=name, allowed=sorted(self._functions))
        return function

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.replace("-", "_") in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)
