"""Where satellites are and when they pass: pure functions of elements, site and time."""
