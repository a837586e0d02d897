/* sparse.h: which of many numbers stay when only some may: one mask over several arrays together. For pruning: scores
 * are magnitudes, saliencies or what a rule has learned, the arrays are the matrices of a model.
 */
#ifndef ASSAY_SPARSE_H
#define ASSAY_SPARSE_H

#include <assay/real.h>

struct as_scores { ptrdiff_t n; const real *score; real *mask; };       /* (n) each; mask is written */

#define as_keep_largest AS_REAL(as_keep_largest)
/* mask = 1 where the score is among the `keep` largest of all parts together, else 0: exactly `keep` ones (all when
 * there are fewer). Among equals the earlier part, then the earlier place, stays; NaN comes last. mask may be score's
 * own array. Without scratch, in time proportional to the number of scores, on the calling thread. */
void as_keep_largest(int parts, const struct as_scores *part, ptrdiff_t keep);

#endif
