"""Adapters to other people's public implementations, each a `Target`, imported only by name.

`hsproj-verify check hsproj_verify.peers.simplexers:target`
"""
