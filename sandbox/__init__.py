"""A simulated SaaS company behind real HTTP APIs and a real PostgreSQL.

It is the input of the demo and of the tests. Nothing here imports Django or the portal: the portal meets this company
only through its doors, as it would meet any other. ``sandbox.server.Sandbox`` starts it, ``sandbox.truth`` says what the
numbers really are.
"""
