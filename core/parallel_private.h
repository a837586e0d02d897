/* parallel_private.h: for core itself. */
#ifndef ASSAY_PARALLEL_PRIVATE_H
#define ASSAY_PARALLEL_PRIVATE_H

/* From inside a piece, where as_fail() must not be called: memory ran out. as_parallel() raises it once all
 * pieces are done. What the piece should have written is left undefined. */
void as_parallel_no_memory(void);

/* The member of the team that runs this piece, 0..as_threads()-1: for scratch memory of its own, nothing else. */
int as_parallel_member(void);

#endif
