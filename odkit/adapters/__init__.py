"""The side door: one file per foreign library or engine, imported by the user, never by odkit."""
