"""`tflock init --live`: what the stores and the CI systems themselves say of the states. Reads only.

look.py        asks, within bounds: which locks and states can be read, what stores list, who wrote the versions
listed.py      names that a store lists, into states and into entries for many
evidence.py    the times of versions beside the times of runs
context.py     what all of this works on
containers.py  adds the states that stores list
writers.py     suggests the pipelines that wrote them
result.py      all of it, in order
against.py     the result beside the configuration that is there
"""
