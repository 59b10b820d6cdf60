"""An S3 server on this machine, SeaweedFS, and a proxy in front of it that delays, counts and breaks requests."""
