"""The champion in memory, followed as it moves, and the workers that swap together."""
