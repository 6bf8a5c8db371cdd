"""The log on Kafka: production, many nodes, any Kafka tool."""
