"""Client APIs: what a worker reads from a client's body. One file each, no I/O."""
