"""Pages, one module each. They read the portal's database and the published marts, nothing else."""
