"""From files to files: read a table, fit or score it, write the result whole or not at all."""
