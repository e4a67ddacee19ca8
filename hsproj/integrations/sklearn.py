"""Estimators for scikit-learn: a classifier on the losses of the hypersimplex, and a selector of features."""

from hsproj.integrations._packages import demand_package

demand_package("sklearn", "sklearn")

from hsproj.integrations._classifier import HypersimplexClassifier  # noqa: E402
from hsproj.integrations._selector import TopKSelector  # noqa: E402

__all__ = ["HypersimplexClassifier", "TopKSelector"]
