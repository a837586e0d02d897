/* allocation.h: how often we asked the C library for memory. */
#ifndef ASSAY_CORE_ALLOCATION_H
#define ASSAY_CORE_ALLOCATION_H

/* Calls of malloc and its like, from this program's own objects, in all threads. What shared libraries ask for among
 * themselves is not counted. The link makes this so: --wrap in Makefile.am. */
long as_allocations(void);

/* Checks: from now on malloc fills what it gives with this byte, 0xff for NaNs; 0: no longer. */
void as_allocations_fill(int byte);

#endif
