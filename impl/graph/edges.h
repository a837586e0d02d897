/* edges.h: what layers along edges share: which pairs of the field `edges` count, and where their ends are.
 *
 * edges (batch, edges, 2): pairs (from, to), numbers of nodes of their own graph; an undirected graph has both
 * directions, and an edge given twice counts twice. Pairs of a node with itself and with a number that is no node are
 * padding.
 */
#ifndef GRAPH_EDGES_H
#define GRAPH_EDGES_H

#include <assay/layer.h>
#include <stdbool.h>

/* Whether pair k is an edge of a graph of so many nodes. */
static inline bool is_edge(const int32_t *edge, ptrdiff_t k, ptrdiff_t nodes)
{
    int32_t from = edge[2 * k], to = edge[2 * k + 1];

    return from != to && from >= 0 && to >= 0 && from < nodes && to < nodes;
}

/* Column `which` of the edges (0: from, 1: to) as places in all graphs of the batch laid end to end. */
static inline struct as_node *edge_places(struct as_tape *t, const struct as_node *edges, int which, ptrdiff_t nodes)
{
    ptrdiff_t all = edges->dim[0] * edges->dim[1], n = 0;
    struct as_node *at;

    for (ptrdiff_t k = 0; k < all; k++)
        n += is_edge(edges->i, k, nodes);
    at = as_node_ints(t, 1, &n);
    for (ptrdiff_t k = 0, m = 0; k < all; k++)
        if (is_edge(edges->i, k, nodes))
            at->i[m++] = (int32_t)(k / edges->dim[1] * nodes) + edges->i[2 * k + which];
    return at;
}

#endif
