"""The engine for a company's own dlt code: it runs in a process of its own, and only what it brought whole is loaded.

    engine    one sync: read in a child, judge, load as the warehouse's writer
    store     dlt's folder and the warehouse, as one
    process   the child as the worker sees it: started, told, listened to, stopped with all it started
    child     what the child does first; `job` is its work with dlt; `mistakes` and `refusals` say what went wrong

The last three import neither Django's settings nor anything of the portal's own database.
"""
