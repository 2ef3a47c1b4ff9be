from measures import Measure


def measured(folder, scale, jobs):
    from outside import Unavailable

    raise Unavailable("not yet")
