"""From signals to plans: exact sizing, scarce cash, worst case, independent proof."""
