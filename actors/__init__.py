"""The supervisors and the engines that they use, a folder each; `app.py` makes them the application `hms`."""
