"""A group of components: start order, restart strategy, restart budget. It alone decides about restarts."""

from .behaviour import group as group
