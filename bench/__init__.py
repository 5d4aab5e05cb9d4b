"""Measurements that can be repeated. Figures are in `results.md`: compare ratios within a run, not between runs."""
