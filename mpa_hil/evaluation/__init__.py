"""From what a run recorded to what it reports, on the host, after the lab has gone."""

from .evaluate import evaluate

__all__ = ["evaluate"]
