"""What if: a log as it was at an instant goes on in virtual time, without hosts, into a log of its own."""
