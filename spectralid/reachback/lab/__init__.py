"""The laboratory loop: samples, results, corrections, the scoreboard, ages."""
