"""Awkward names, locations and inputs, as users have them: each is read, refused in one line, or counted."""
