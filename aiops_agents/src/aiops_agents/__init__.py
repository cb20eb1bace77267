"""The enhancing agent, its tools and its LLM backends, as plugins of AI Ops."""
