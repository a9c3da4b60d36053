"""What packets mean: wire format, definitions, decoding, limits. Pure functions of bytes."""
