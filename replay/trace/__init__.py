"""Why something happened, and what it led to: the records of one correlation as a tree."""
