"""The commands that serve: a gateway with a policy, and a model server to try it on."""
