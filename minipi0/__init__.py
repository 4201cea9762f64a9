"""Flow-matching vision-language-action models, explained by building pi0 (arXiv 2410.24164)."""

from minipi0 import flow

__all__ = ["flow"]
