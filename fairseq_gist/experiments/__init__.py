"""Experiments: systems times seeds, described in one TOML, done step by step.

A description (:mod:`~fairseq_gist.experiments.experiment`) is read and checked
(:mod:`~fairseq_gist.experiments.document`, :mod:`~fairseq_gist.experiments.reading`), filled in to
steps with files between them (:mod:`~fairseq_gist.experiments.steps`), of which those that are left
(:mod:`~fairseq_gist.experiments.work`) are done (:mod:`~fairseq_gist.experiments.runner`).
``docs/experiments.md`` describes the TOML.
"""

from fairseq_gist.experiments.conduct import Choices, conduct, dry_run
from fairseq_gist.experiments.document import read_document, with_profiles, with_settings
from fairseq_gist.experiments.experiment import Experiment
from fairseq_gist.experiments.reading import experiment_of

__all__ = [
    "Choices",
    "Experiment",
    "conduct",
    "dry_run",
    "experiment_of",
    "read_document",
    "with_profiles",
    "with_settings",
]
