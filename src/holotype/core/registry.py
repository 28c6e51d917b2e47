"""A registry is a decorator and a dict: the function's name is the public name, with `-` as good as `_`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar, overload

from holotype.core.errors import RecipeError

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

    @overload
    def register(self, function: Function) -> Function: ...

    @overload
    def register(self, *, name: str) -> Callable[[Function], Function]: ...

    def register(self, function: Any = None, *, name: str | None = None) -> Any:
        """Add a function under its own name or another; a second one of that name is a mistake of ours.

        Args:
            function: What to register; none where the decorator is called with a name.
            name: The public name, where the function's own would shadow a builtin.
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
