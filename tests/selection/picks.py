"""Picking from scores, as the server does it."""

from nextlabel_server.selection import Constraints, Picking, Picks, pick_by_score


def pick(query, scores, excluded, rng):
    """The picks of a query from the scores of a pool, none of them an excluded row."""
    constraints = Constraints(limits=query.limits, excluded=excluded)
    picking = Picking(len(scores), query.budget.rows(len(scores)), constraints)
    pick_by_score(query, scores, picking, rng)
    return Picks.of(picking, query, len(scores))
