"""One component: what is wished, what runs, and how it got there. Its group decides about starts and restarts."""

from .behaviour import component as component
