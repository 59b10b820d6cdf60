"""Write the report of a run as a folder that a browser opens from disk.

``data`` reads the tables, ``sections`` turns them into texts, tables and charts, ``draw`` makes the charts, and
``assets`` holds the scripts, the style and the template.
"""
