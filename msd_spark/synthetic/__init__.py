"""Data in the Million Song Dataset's own formats, made from a seed, with a planted signal.

What stands where: ``settings`` what can be asked for; ``signal`` how a genre sounds, and how
noisily; ``catalogue`` who made which song; ``analysis``, ``artists`` and ``metadata`` the contents
of a song file; ``song_image`` and ``packaging`` the files, tars and aggregates; ``lyrics``,
``labels``, ``listens``, ``lastfm`` and ``tracks`` the files that lie beside the songs; ``run``
all of them at once, on several processes.
"""
