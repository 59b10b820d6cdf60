"""What a cluster needs from this repository: packed code, a packed environment, certificates; and what it costs."""
