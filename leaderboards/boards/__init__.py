"""From submissions to tables, pages and a static site."""
