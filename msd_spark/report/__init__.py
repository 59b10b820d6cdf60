"""The page of a run: what it is made of, from tables of the warehouse to files that a browser opens from disk.

`sections` say what stands on the page, `charts` and `tables` what figures and tables are, `plotly_charts` and
`paper` draw the figures for the page and for papers, `catalogue`, `details` and `heatmaps` hold what the map shows,
and `scripts` how data gets into a page that may read no other files than scripts.
"""
