"""Proof of the history: Merkle trees over commits, signed checkpoints, and what they let others check without trusting anybody.

A leaf is a commit record's value with the root over the events of its transaction; a shard's tree is RFC 6962's.
"""
