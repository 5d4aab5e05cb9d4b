"""What was used and what it cost, from ClickHouse."""
