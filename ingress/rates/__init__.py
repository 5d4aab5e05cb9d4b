"""Rate limits: requests and tokens per minute and concurrent requests, of keys and projects, over all replicas."""
