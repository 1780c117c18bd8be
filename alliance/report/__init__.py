"""Frames and views to what people read: the terminal, one HTML page, files."""
