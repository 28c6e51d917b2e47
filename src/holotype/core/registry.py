"""Function registries: a decorator that adds a function to a mapping under its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar, overload

from holotype.core.errors import RecipeError

__all__ = ["Registry"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Mapping[str, Callable[..., Any]]):
    """Mapping from public names to functions; `-` and `_` are the same in a name.

    Args:
        kind: Noun for messages ("loss", "schedule").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}

    @overload
    def register(self, function: Function) -> Function: ...

    @overload
    def register(self, *, name: str) -> Callable[[Function], Function]: ...

    def register(self, function: Any = None, *, name: str | None = None) -> Any:
        """Register a function under its own name, or under another if its own would shadow a builtin.

        Raises:
            ValueError: The name is taken.
        """
        if function is None:
            return partial(self.register, name=name)
        public_name = name or function.__name__
        if public_name in self._functions:
            owner = self._functions[public_name].__module__
            raise ValueError(f"two {self.kind}s are named {public_name!r}: in {owner} and in {function.__module__}")
        self._functions[public_name] = function
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
