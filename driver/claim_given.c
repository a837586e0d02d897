#include "claim_impl.h"
#include "stats.h"

#include <math.h>

/* Preconditions. They are no claims and have no error rate of their own: plain means over seeds (medians of ranks and
 * times) are held against what is asked. */

/* What one side of a part comes to. NULL, or why there is nothing. */
static const char *summary(struct reader *r, const struct part *part, int second, double *out, int *incomplete)
{
    const struct node *node = second ? part->b : part->a;
    const struct binding *binding = second ? part->bind_b : part->bind_a;
    struct series s;
    if (node->kind == NODE_IDENTITY) {
        const char *nearest;
        *incomplete = 1;
        long cases;
        return r->source->identity(r->source->ctx, node->name, node->key, node->n_keys, out, &cases, &nearest) == 0
                   ? NULL : "the identity of the precondition has not been measured";
    }
    if (node->kind == NODE_SHARE)
        s = series_share(r, node->relation);
    else
        s = series_of(r, node->kind == NODE_SPREAD ? node->kid[0] : node, binding);
    *incomplete = s.incomplete;
    if (s.trouble != NULL)
        return s.trouble;
    double *x = pool_alloc(&r->pool, s.n, sizeof *x);
    for (size_t i = 0; i < s.n; i++)
        x[i] = s.at[i].high;                     /* a time that was never reached is not small */
    if (node->kind == NODE_SPREAD)
        *out = s.n > 1 ? stats_sd(x, s.n) : 0.0;
    else if (node->kind == NODE_SPEARMAN || node->kind == NODE_STEPS_TO)
        *out = stats_median(x, s.n);
    else
        *out = stats_mean(x, s.n);
    return NULL;
}

static int holds(const struct part *part, double a, double b)
{
    enum op op = part->op;
    int rising = op == OP_GT || op == OP_GE;
    double d = part->b != NULL ? a - b : a + part->offset - part->number;
    if (part->factor) {
        double ratio = a / (part->b != NULL ? b : part->number);
        double m = part->relation->margin_kind == MARGIN_NONE ? 1.0 : part->margin;
        if (op == OP_EQ)
            return ratio <= m && ratio >= 1.0 / m;
        return rising ? op_holds(ratio, op, m) : op_holds(1.0 / ratio, op_mirrored(op), m);
    }
    if (op == OP_EQ)
        return fabs(d - (part->b != NULL ? part->center : 0.0)) <= part->margin;
    if (part->b == NULL)                         /* no subtraction: 0.99 >= 0.99 */
        return op_holds(a + part->offset, op, part->number);
    return rising ? op_holds(d, op, part->margin) : op_holds(-d, op_mirrored(op), part->margin);
}

int given_holds(struct reader *r, const struct relations *given, struct finding *f)
{
    struct parts parts = parts_of(r, given);
    for (size_t i = 0; i < parts.n; i++) {
        const struct part *part = &parts.at[i];
        double a = 0.0, b = 0.0;
        int incomplete = 0;
        const char *trouble = summary(r, part, 0, &a, &incomplete);
        if (trouble == NULL && part->b != NULL)
            trouble = summary(r, part, 1, &b, &incomplete);
        struct text text = {f->text, sizeof f->text, 0};
        if (trouble != NULL) {
            f->verdict = incomplete ? CLAIM_UNDECIDED_INCOMPLETE : CLAIM_NOT_TESTABLE;
            text_add(&text, "precondition: %s", trouble);
            return 0;
        }
        a *= part->ka;
        b *= part->kb;
        if (holds(part, a, b))
            continue;
        char left[32], right[32];
        stats_format_short(left, sizeof left, a + part->offset);
        stats_format_short(right, sizeof right, part->b != NULL ? b : part->number);
        f->verdict = CLAIM_NOT_LEARNED;
        text_add(&text, "given %s %s %s: fails", left, op_text(part->op), right);
        return 0;
    }
    return 1;
}
