"""The MCP server: the same tools over stdio, for agents."""
