"""Plumbing under every service: settings, logs, metrics, lifecycle, probes, Kafka, files. No business rules."""
