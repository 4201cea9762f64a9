"""Every picture the notebooks draw.

A module per subject; all of them draw on axes made by `style.figure`.
"""
