"""What a component imports to be supervised from inside. It comes with the gateway; nothing is here yet."""
