"""Measurements that can be repeated. Figures are in `results.md`: compare ratios within a run, not times between runs."""
