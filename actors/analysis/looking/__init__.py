"""How the analysis supervisor looks: a process of its own reads the history in SQL and runs the engines over it."""
