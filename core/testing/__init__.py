"""The testing kit: Given/When/Then, the conformance suite for logs, the seeded simulation."""
