"""Methods whose results are computed once, because planning requests the same settings many times."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def once(
    method: Callable[Concatenate[Owner, Parameters], Result],
) -> Callable[Concatenate[Owner, Parameters], Result]:
    """Compute a method's result once for each set of positional arguments, which must be hashable.

    All callers share the same object, so they must not change it. Results live as long as their owner.
    """
    name = f"_{method.__name__}_results"

    @wraps(method)
    def remembered(owner: Owner, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        results: dict[Any, Result] = vars(owner).setdefault(name, {})
        key = (*args, *sorted(kwargs.items())) if kwargs else args
        if key not in results:
            results[key] = method(owner, *args, **kwargs)
        return results[key]

    return remembered
