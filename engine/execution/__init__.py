"""From a plan to orders, and from what venues answer to a known position."""
