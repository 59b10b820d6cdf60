"""Find similar songs by track id, name or song file, and build playlists."""
