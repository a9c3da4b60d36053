"""What each command does: `groundstation passes` is `passes.command`, and so on for every name that `cli` knows.

Beside a command stand what it asks (`passes_query`) and how it is printed (`passes_view`). Nothing but `cli` imports
from here, and a command's module only when that command runs: `groundstation --help` and a wrong flag answer at once.
"""
