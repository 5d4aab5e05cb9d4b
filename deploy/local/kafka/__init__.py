"""One Kafka on this machine: for the one-machine stack and for tests.

In reading order: choose (which kind), jars (bring Apache Kafka), apache and tansu (how each is started),
process (the handle: start, stop, kill, restart), probe (is it ready), ports, errors.
"""
