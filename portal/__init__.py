"""The portal: its kernel (settings, runs, warehouse, mail) and its roof (pipeline, tasks, pages)."""
