"""Programs that generators start as processes of their own, by path: nothing here is imported, or imports Unicorn."""
