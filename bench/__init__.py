"""Measurements that can be repeated. Figures are in `results.md`; compare ratios within one run, never times between runs."""
