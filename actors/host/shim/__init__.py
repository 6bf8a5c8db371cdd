"""The small program between a component and everything that may die: one per attempt, standard library only.

It imports nothing of `hms`, so it starts in some 20 ms, holds some 5 MB and outlives any version of its maker. The
agent shares two of its modules: `tree` (reading processes) and `record` (the shape of what it leaves behind).
"""
