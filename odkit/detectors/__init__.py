"""Detectors of rows, one file each. They are on the public shelf of `odkit` itself."""
