/* source-schema: what a source makes is what its shape says: fields, sizes, classes, lengths, integers below their
 * vocabulary, finite numbers, weights that count something; and a metric and an objective that there are.
 */
#include "source.h"

#include <assay/error.h>
#include <assay/metric.h>
#include <string.h>

enum { EXAMPLES = 60 };

static const char *misdeclared(const struct source_try *t)
{
    const struct as_data_shape *s = &t->shape;
    int target = source_field(t, "target");
    if (strcmp(s->field[0].name, "x"))
        return as_say("field 0 is called %s; the model's input comes first and is called x", s->field[0].name);
    if (target < 0)
        return "there is no field target";
    const struct as_data_field *f = &s->field[target];
    if (s->per_step != (f->rank > 0 && f->dim[0] == AS_TIME))
        return as_say("per_step is %s, but target has %s time axis", s->per_step ? "true" : "false",
                      s->per_step ? "no" : "a");
    if (s->classes < 1 || (f->integer && f->vocab > s->classes))
        return as_say("%td classes for targets below %td", s->classes, f->vocab);
    for (int i = 0; i < s->n_fields; i++)
        if (s->field[i].integer && s->field[i].vocab < 1)
            return as_say("the integer field %s has no vocabulary", s->field[i].name);
    if (!s->metric || !as_metric_find(s->metric, NULL))
        return as_say("its natural metric %s does not exist", s->metric ? s->metric : "(none)");
    if (!s->objective || !as_registry_find("objective", s->objective, NULL))
        return as_say("its natural objective %s does not exist", s->objective ? s->objective : "(none)");
    return NULL;
}

/* Whether some target of the example just made counts. */
static bool counts(const struct source_try *t)
{
    int target = source_field(t, "target"), weight = source_field(t, "weight");
    for (ptrdiff_t j = 0; j < source_items(t, target); j++) {
        bool there = !t->shape.field[target].integer || t->e.i[target][j] >= 0;
        if (there && (weight < 0 || source_items(t, weight) <= j || t->e.x[weight][j] > 0))
            return true;
    }
    return false;
}

static void schema(struct check_run *r, struct source_try *t)
{
    const char *why = misdeclared(t);
    int counting = 0;
    if (why)
        check_fail(r, "%s: %s", source_text(t), why);
    for (int split = 0; split < AS_SPLITS && !r->failures; split++)
        for (int i = 0, n = source_examples(t, EXAMPLES); i < n && !r->failures; i++) {
            if (!source_make(r, t, (enum as_split)split, r->seed + 7, (uint64_t)i, 0x55))
                return;
            check_did(r);
            counting += counts(t);
            why = source_misfit(&t->shape, &t->e);
            if (why)
                check_fail(r, "%s, %s example %llu: %s", source_text(t), source_split_name((enum as_split)split),
                           (unsigned long long)i, why);
        }
    if (!r->failures && !counting)
        check_fail(r, "%s, not one of %d examples has a target that counts", source_text(t),
                   AS_SPLITS * source_examples(t, EXAMPLES));
}

static void run(struct check_run *r) { source_each(r, schema); }

const struct as_check AS_CHECK(source_schema) = {
    .name = "source-schema", .of = CHECK_SOURCE,
    .proves = "fields, lengths and values are within what the shape declares, at every end of every option",
    .cannot = "that the task is the one its paper describes",
    .run = run,
};
