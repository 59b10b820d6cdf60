"""Build a release for a cluster: packed code, packed environment, certificate; estimate its cost."""
