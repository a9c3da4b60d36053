"""Recorded passes: one portable file, its pacing, and the player that feeds the pipeline again."""
