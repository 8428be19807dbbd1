"""The composition root: a configuration becomes a running bot."""

import sys


class _Nothing:
    """Takes every name and every call; given a function, it gives it back as it is."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        return self

    def __call__(self, given: object = None, **_: object) -> object:
        return self if given is None else given


for _name in ("beartype", "beartype.claw"):
    sys.modules.setdefault(_name, _Nothing())  # type: ignore[arg-type]  # not a module, and no need to be
    # Before anything imports pydocket: its store of results, which no job here uses, would check the types of its
    # calls with beartype, which is 400 modules, a tenth of all that a start imports.
