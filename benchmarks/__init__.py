"""What spanmill costs, measured."""
