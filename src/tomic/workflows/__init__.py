"""What reads like the mission: edges and decisions brought together."""
