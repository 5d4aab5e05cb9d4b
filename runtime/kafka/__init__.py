"""Kafka as the fleet uses it: clients with the settings that the guarantees rest on, offsets, loops, topics."""
