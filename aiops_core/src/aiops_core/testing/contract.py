"""The base of every contract class: standard tests cannot be overridden."""

from __future__ import annotations

from typing import Any


class Contract:
    """Standard tests that a subclass supplies with a subject and may not replace.

    Raises:
        TypeError: At the subclass's definition, when it replaces a standard test.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class whose standard test is not the contract's own."""
        super().__init_subclass__(**kwargs)
        for name, contract in standard_tests(cls).items():
            if getattr(cls, name) is not contract.__dict__[name]:
                raise TypeError(
                    f"{cls.__qualname__} overrides {contract.__name__}.{name}; "
                    "add a test of another name, standard tests stay as they are"
                )


def standard_tests(cls: type[Contract]) -> dict[str, type[Contract]]:
    """Return each standard test's name and the contract class of this package that defines it."""
    contracts = [base for base in cls.__mro__ if base.__module__.startswith(__package__ or "")]
    return {name: base for base in contracts for name in vars(base) if name.startswith("test")}
