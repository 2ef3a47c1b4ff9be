def figures(results, out):
    pass
