"""Build a release for a cluster: code, environment, certificate; estimate its cost."""
