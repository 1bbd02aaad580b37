"""A proxy asks where requests go: the Endpoint Picker protocol, and Envoy's configuration."""
