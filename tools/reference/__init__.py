"""One module a page of docs/reference: each has a function that returns the page's text."""
