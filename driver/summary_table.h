/* summary_table.h: metrics and budgets by arm, as tables of text. */
#ifndef ASSAY_DRIVER_SUMMARY_TABLE_H
#define ASSAY_DRIVER_SUMMARY_TABLE_H

#include <driver/results.h>

/* Cells of text that align themselves: the first column left, others right. */
struct table { char **text; int rows, columns; };
struct table table_new(int columns);
void table_put(struct table *t, int row, int column, const char *text);       /* copied; rows grow */
void table_free(struct table *t);

/* Metrics of one evaluation: a row an arm (and combination of its other axes), a column a value of its last axis.
 * eval: NULL for the plain test split. The caption says what the columns are. malloc'd texts. */
struct block { struct table table; char *caption; };
struct block block_make(struct results *r, const char *metric, const struct eval *eval);
void block_free(struct block *b);

/* Metric number i of those that are measured: each plain (of the last stage, if there are stages), at the end of each
 * stage before, and in each evaluation, which *eval then is. malloc'd; NULL behind the last. */
char *table_metric(const struct results *r, int i, const struct eval **eval);

struct table budget_make(struct results *r);

/* Prints the blocks of what claims and figures read; of everything with `all`, or when they read nothing. */
void table_metrics(struct results *r, bool all);
void table_budgets(struct results *r);

#endif
