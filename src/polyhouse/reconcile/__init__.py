"""Our numbers against the published ones: how far apart, and the likely cause by rule. Never an input to ours."""

from polyhouse.reconcile.benchmark import benchmark
from polyhouse.reconcile.compare import Comparison, compare, store
from polyhouse.reconcile.headline import Headline, headline
from polyhouse.reconcile.published import read_published, sample

__all__ = [
    "Comparison",
    "Headline",
    "benchmark",
    "compare",
    "headline",
    "read_published",
    "sample",
    "store",
]
