"""One file per client API: what the ingress must understand of a request, and how errors look there."""
