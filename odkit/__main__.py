"""`python -m odkit` is the command `odkit`."""

from odkit.cli import main

main()
