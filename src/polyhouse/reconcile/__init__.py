"""Our numbers against the published ones: how far apart, and the likely cause by rule. Never an input to ours."""

from polyhouse.reconcile.benchmark import benchmark
from polyhouse.reconcile.compare import compare
from polyhouse.reconcile.comparison import Comparison, Reconciliation, store
from polyhouse.reconcile.headline import Headline
from polyhouse.reconcile.parity import compare_parity, published_users
from polyhouse.reconcile.published import read_published, sample

__all__ = [
    "Comparison",
    "Headline",
    "Reconciliation",
    "benchmark",
    "compare",
    "compare_parity",
    "published_users",
    "read_published",
    "sample",
    "store",
]
