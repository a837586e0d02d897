/* pre-rmsnorm-float.c: Pre-LN, Pre-RMSNorm and Pre-CRMSNorm Transformers as one function, before and while they learn.
 * In float, as they are trained: see pre-rmsnorm.h.
 */
#include "pre-rmsnorm.h"

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "Pre-LN, Pre-RMSNorm and Pre-CRMSNorm Transformers of one set of weights, compared in float",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics, .sample = sample,
    .run = run,
};

const struct as_plugin AS_PLUGIN(study__pre_rmsnorm_float) = { .abi = ASSAY_ABI, .study = &study };
